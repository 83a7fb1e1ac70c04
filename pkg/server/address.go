package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// address is the end user's address: that of the connection, unless it is a trusted
// proxy's; then the last X-Forwarded-For entry that no trusted proxy made (R18).
func (s *Server) address(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !s.trusted(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		// A zone means nothing beyond the machine that wrote it, and can be any text.
		addr = next.Unmap().WithZone("")
	}
	return addr.String()
}

// forwarded is the end user's address in the words of a server that calls for it, empty
// unless it is exactly one address. Whether it counts is decided once the client is
// known (grants.Session).
func forwarded(r *http.Request) string {
	said := r.Header.Values("auth0-forwarded-for")
	if len(said) != 1 {
		return ""
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(said[0]))
	if err != nil {
		return ""
	}
	return addr.Unmap().WithZone("").String()
}

func (s *Server) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(s.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
