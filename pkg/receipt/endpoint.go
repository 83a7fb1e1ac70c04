package receipt

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// Path is where receipts are sent, below the public URL: POST, to the one of each provider
// ([oob.ReceiptURL]).
const Path = "receipts/{channel}/{provider}"

// Serve answers a receipt. When it fails it has written nothing: [Refuse] does.
func (d *Desk) Serve(w http.ResponseWriter, r *http.Request, _ string) error {
	channel, provider, err := addressed(r.URL.Path)
	if err != nil {
		return err
	}
	body, err := form.ReadAll(r)
	if err != nil {
		return err
	}
	err = d.Take(r.Context(), channel, provider, oob.Callback{
		URL: oob.ReceiptURL(d.o.URL, channel, provider), Query: r.URL.RawQuery, Header: single(r.Header), Body: body,
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// addressed is the provider that a path names. Each has one spelling.
func addressed(path string) (channel string, provider int, err error) {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return "", 0, fault.NotFound
	}
	channel, number := parts[len(parts)-2], parts[len(parts)-1]
	provider, err = strconv.Atoi(number)
	if err != nil || strconv.Itoa(provider) != number || provider < 0 {
		return "", 0, fault.NotFound
	}
	return channel, provider, nil
}

// single reads headers that stand there once.
func single(h http.Header) func(string) string {
	return func(name string) string {
		if values := h.Values(name); len(values) == 1 {
			return values[0]
		}
		return ""
	}
}

// A row is how a failure reads for a provider.
type row struct {
	status int
	text   string
}

var catalogue = map[fault.Kind]row{
	fault.BadReceipt:   {http.StatusForbidden, "The signature is missing, wrong or too old."},
	fault.BadRequest:   {http.StatusBadRequest, "The receipt cannot be read."},
	fault.BodyTooLarge: {http.StatusRequestEntityTooLarge, "The body is too large."},
	fault.BodyTooSlow:  {http.StatusRequestTimeout, "The body took too long."},
	fault.NotFound:     {http.StatusNotFound, "No provider sends receipts here."},
	fault.Unavailable:  {http.StatusServiceUnavailable, "Something that the gateway depends on does not answer. Try again."},
	fault.Internal:     {http.StatusInternalServerError, "Something went wrong in the gateway."},
}

// retry is when to come again where nobody knows better.
const retry = time.Second

// Refuse writes a failure, and says of what kind it is. The error is the kind's word: whoever
// reads it writes a provider.
func Refuse(w http.ResponseWriter, failure error) fault.Kind {
	kind := fault.Of(failure)
	found, ok := catalogue[kind]
	if !ok {
		kind, found = fault.Internal, catalogue[fault.Internal]
	}
	text := found.text
	var d *fault.Details
	if errors.As(failure, &d) && d.Param != "" && kind == fault.BadRequest {
		text = d.Param
	}
	if found.status == http.StatusServiceUnavailable {
		after := retry
		if d != nil {
			after = max(d.RetryAfter, retry)
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	body, err := json.Marshal(map[string]string{"error": kind.Error(), "error_description": text})
	if err != nil {
		panic(err) // strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(found.status)
	_, _ = w.Write(body) // whoever hung up needs no answer
	return kind
}
