package stepup

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// A refusal is an answer other than the handler's.
type refusal struct {
	status    int
	challenge Challenge     // for WWW-Authenticate
	retry     time.Duration // for Retry-After, and then there is no challenge
	reason    error         // for the log alone
}

// missing says no more than that a token is wanted (RFC 6750, section 3.1).
func missing() *refusal {
	return &refusal{status: http.StatusUnauthorized, reason: errors.New("no bearer token")}
}

func malformed(reason error) *refusal {
	return &refusal{status: http.StatusBadRequest, challenge: Challenge{Error: InvalidRequest}, reason: reason}
}

func invalid(reason error) *refusal {
	return &refusal{status: http.StatusUnauthorized, challenge: Challenge{Error: InvalidToken}, reason: reason}
}

// insufficient refuses a valid token.
func insufficient(c Challenge) *refusal {
	status := http.StatusUnauthorized // RFC 9470, section 3
	if c.Error == InsufficientScope {
		status = http.StatusForbidden // RFC 6750, section 3.1
	}
	return &refusal{status: status, challenge: c, reason: errors.New(c.Error)}
}

// unavailable: without keys nobody can tell a good token, so no token is good.
func unavailable(retry time.Duration, reason error) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, retry: max(retry, time.Second), reason: reason}
}

// refuse answers a request that does not reach the handler.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	g.o.Log.DebugContext(r.Context(), "a request is refused", slog.Int("status", no.status), slog.Any("reason", no.reason))
	h, said := w.Header(), no.challenge.Error
	if no.retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((no.retry+time.Second-1)/time.Second), 10))
		said = "temporarily_unavailable"
	} else {
		h.Set("WWW-Authenticate", no.challenge.String())
	}
	h.Set("Cache-Control", "no-store")
	if said == "" {
		w.WriteHeader(no.status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(no.status)
	// Who asked may have hung up; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(map[string]string{"error": said})
}
