package stepup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/signer"
)

const (
	keysFor   = 5 * time.Minute  // how long keys are used before they are read again
	readEvery = 10 * time.Second // how often they are read at most, whatever comes in
	readIn    = 5 * time.Second  // how long a reading may take
	readLimit = 256 << 10        // the longest document that is read, in bytes
)

// keys are the published keys of an issuer as they were read last. Requests share one
// reading: each that cannot do without waits for it, and none starts a second.
//
// An issuer that is down does not take the API with it: the keys of before stay in use.
type keys struct {
	issuer string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	current *signer.PublishedKeys // nil until some were read
	readAt  time.Time             // when current was read
	triedAt time.Time             // when the last reading began
	failure error                 // of the last reading
	reading chan struct{}         // closed when the reading under way ends; nil if none is
}

// with returns keys that have the kid.
func (k *keys) with(ctx context.Context, kid string) (*signer.PublishedKeys, *refusal) {
	if end := k.readIfDue(ctx, kid); end != nil {
		select {
		case <-end:
		case <-ctx.Done():
			return nil, unavailable(readEvery, ctx.Err())
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.current != nil && k.current.Has(kid):
		return k.current, nil
	case k.failure != nil:
		// It may be a new key, which nobody can tell now.
		return nil, unavailable(k.triedAt.Add(readEvery).Sub(k.now()), k.failure)
	default:
		return nil, invalid(errors.New("no published key has its kid"))
	}
}

// readIfDue starts a reading when the keys are old or lack the kid, unless one is under
// way or was just made. It returns what to wait for, nil for nothing: old keys that have
// the kid will do while the issuer is down.
func (k *keys) readIfDue(ctx context.Context, kid string) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	has := k.current != nil && k.current.Has(kid)
	if has && now.Sub(k.readAt) < keysFor {
		return nil
	}
	if k.reading == nil {
		if !k.triedAt.IsZero() && now.Sub(k.triedAt) < readEvery {
			return nil
		}
		k.triedAt, k.reading = now, make(chan struct{})
		// Others wait for it too, so it goes on when this request is given up.
		go k.read(context.WithoutCancel(ctx))
	}
	if has && k.failure != nil {
		return nil
	}
	return k.reading
}

// read reads the keys and tells everybody who waits.
func (k *keys) read(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, readIn)
	defer stop()
	published, err := k.fetch(ctx)
	if err != nil {
		k.log.WarnContext(ctx, "cannot read the keys of the issuer", slog.String("issuer", k.issuer), slog.Any("error", err))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure = err; err == nil {
		k.current, k.readAt = published, k.triedAt
	}
	close(k.reading)
	k.reading = nil
}

// fetch asks the issuer where its keys are (OpenID Connect Discovery, section 4), and
// reads them.
func (k *keys) fetch(ctx context.Context) (*signer.PublishedKeys, error) {
	document, err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &metadata); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	if metadata.Issuer != k.issuer {
		return nil, fmt.Errorf("the issuer calls itself %q", metadata.Issuer)
	}
	if at, err := url.Parse(metadata.JWKS); err != nil || !trustworthy(at) {
		return nil, fmt.Errorf("its jwks_uri is %q", metadata.JWKS)
	}
	set, err := k.get(ctx, metadata.JWKS)
	if err != nil {
		return nil, err
	}
	published, err := signer.ParsePublishedKeys(set)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	return published, nil
}

// get reads a document of a limited length.
func (k *keys) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, readLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	if len(body) > readLimit {
		return nil, fmt.Errorf("%s is longer than %d bytes", address, readLimit)
	}
	return body, nil
}
