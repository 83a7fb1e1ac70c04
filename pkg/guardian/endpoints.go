package guardian

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// An Endpoint is one request that phones make.
type Endpoint struct {
	Method string
	Path   string // below the public URL; {id} stands for one segment
	// Do answers a request from an address. When it fails it has written nothing: [Refuse]
	// writes what phones understand.
	Do func(w http.ResponseWriter, r *http.Request, address string) error
}

// Endpoints are all that phones call. None of them ever redirects: what a phone signed names
// the URL that it called.
func (p *Protocol) Endpoints() []Endpoint {
	var all []Endpoint
	for _, prefix := range prefixes {
		at := strings.TrimPrefix(prefix+"/api/", "/")
		all = append(all,
			Endpoint{http.MethodPost, at + "enroll", p.serveEnroll},
			Endpoint{http.MethodPost, at + "resolve-transaction", p.serveResolve},
			Endpoint{http.MethodPatch, at + "device-accounts/{id}", p.serveUpdate},
			Endpoint{http.MethodDelete, at + "device-accounts/{id}", p.serveRemove},
		)
	}
	return append(all, Endpoint{http.MethodGet, strings.TrimPrefix(endpointConsents, "/") + "{id}", p.serveConsent})
}

func (p *Protocol) serveEnroll(w http.ResponseWriter, r *http.Request, address string) error {
	ticket, err := parseTicket(r.Header.Values("Authorization"))
	if err != nil {
		return err
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	enrolled, err := p.Enroll(r.Context(), ticket, body, from(r, address))
	if err != nil {
		return err
	}
	return write(w, http.StatusCreated, enrolled)
}

func (p *Protocol) serveResolve(w http.ResponseWriter, r *http.Request, address string) error {
	token, err := parseAuthorization(r.Header.Values("Authorization"), "Bearer")
	if err != nil {
		return err
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	if err := p.Resolve(r.Context(), token, body, from(r, address)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Protocol) serveUpdate(w http.ResponseWriter, r *http.Request, address string) error {
	token, err := parseAuthorization(r.Header.Values("Authorization"), "Bearer")
	if err != nil {
		return err
	}
	body, err := read(r)
	if err != nil {
		return err
	}
	account, err := p.Update(r.Context(), path.Base(r.URL.Path), token, body, from(r, address))
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, account)
}

func (p *Protocol) serveRemove(w http.ResponseWriter, r *http.Request, address string) error {
	token, err := parseAuthorization(r.Header.Values("Authorization"), "Bearer")
	if err != nil {
		return err
	}
	if err := p.Remove(r.Context(), path.Base(r.URL.Path), token, from(r, address)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Protocol) serveConsent(w http.ResponseWriter, r *http.Request, address string) error {
	token, err := parseAuthorization(r.Header.Values("Authorization"), "MFA-DPoP")
	if err != nil {
		return err
	}
	proofs := r.Header.Values("MFA-DPoP")
	if len(proofs) != 1 {
		return fault.BadDeviceProof
	}
	consent, err := p.Consent(r.Context(), path.Base(r.URL.Path), token, proofs[0], from(r, address))
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, consent)
}

func from(r *http.Request, address string) From {
	return From{Address: address, Agent: r.UserAgent(), App: r.Header.Get("Auth0-Client")}
}

// read reads a body, one byte more than is taken at most, whatever its Content-Type says.
func read(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return nil, fault.Because(fault.BadRequest, err)
	}
	return body, nil
}

// parseAuthorization is what follows the scheme, in any case, of the one Authorization
// header. One SDK sends a scheme alone when it could not sign.
func parseAuthorization(headers []string, scheme string) (secret.Text, error) {
	if len(headers) != 1 {
		return secret.Text{}, fault.NoBearer
	}
	word, token, _ := strings.Cut(strings.TrimSpace(headers[0]), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(word, scheme) || token == "" || strings.ContainsAny(token, " \t,") {
		return secret.Text{}, fault.NoBearer
	}
	return secret.New(token), nil
}

// parseTicket reads Ticket id="…", its quotes or none.
func parseTicket(headers []string) (secret.Text, error) {
	given, err := parseAuthorization(headers, "Ticket")
	if err != nil {
		return secret.Text{}, err
	}
	name, value, _ := strings.Cut(given.Reveal(), "=")
	if len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
		value = value[1 : len(value)-1]
	}
	if !strings.EqualFold(name, "id") || value == "" || strings.Contains(value, `"`) {
		return secret.Text{}, fault.NoBearer
	}
	return secret.New(value), nil
}

// write answers with JSON. It says so always: one SDK takes nothing else.
func write(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the phone has hung up; it will ask again
	return nil
}
