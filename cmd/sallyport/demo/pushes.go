package demo

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/provider"
)

// pushes is the push service of the demo, which needs no account with one.
type pushes struct {
	url   string
	keys  provider.Keys
	stop  context.CancelFunc
	ended chan error
}

// servePushes serves on loopback until it is closed.
func servePushes(ctx context.Context, now func() time.Time) (*pushes, error) {
	keys, err := provider.NewKeys(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make a push service: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("make a push service: %w", err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // as long as the gateway
	p := &pushes{url: "http://" + l.Addr().String(), keys: keys, stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- provider.New(p.url, keys, now).Serve(serving, l) }()
	return p, nil
}

func (p *pushes) close() error {
	p.stop()
	return <-p.ended
}
