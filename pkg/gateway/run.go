package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// The limits of a connection (B-72) and the patience of a stop.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 15 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	stopTimeout    = 10 * time.Second
	sweepInterval  = time.Minute
	sealTimeout    = 2 * time.Second        // for the last seals
	sealInterval   = 500 * time.Millisecond // a record is sealed within a second
)

// Run listens where the configuration says and serves until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	public, err := listen(ctx, "listen", g.Config.Server.Listen)
	if err != nil {
		return err
	}
	management, err := listen(ctx, "management.listen", g.Config.Server.Management.Listen)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	return g.Serve(ctx, public, management)
}

// listen listens for a setting, which its error names.
func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", address)
	var cause *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program, or by another gateway; end that, or choose another port", setting, address)
	case errors.As(err, &cause):
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, address, cause.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}

// Serve serves on two listeners until ctx ends; then it finishes the requests that it
// has and returns nil.
func (g *Gateway) Serve(ctx context.Context, public, management net.Listener) error {
	if t := g.Config.Server.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("load the certificate: %w", err)
		}
		public = tls.NewListener(public, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	running.Go(func() { g.stores.sql.Watch(ctx, g.changed) })
	running.Go(func() {
		g.every(ctx, sweepInterval, "sweep", func(ctx context.Context) error { return g.stores.sql.Sweep(ctx, g.Now()) })
	})
	running.Go(func() { g.every(ctx, ringInterval, "keep the key ring", g.keepRing) })
	running.Go(func() { g.every(ctx, ringInterval, "seal anew", g.reseal) })
	running.Go(func() { g.every(ctx, sealInterval, sealing, g.stores.sql.Seal) })
	servers := []*http.Server{g.httpServer(g.Public), g.httpServer(g.Management)}
	for i, l := range []net.Listener{public, management} {
		running.Go(func() {
			if err := servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serve %s: %w", l.Addr(), err))
			}
		})
	}
	g.Log.InfoContext(ctx, "serving", slog.String("issuer", g.Config.Server.PublicURL),
		slog.String("listen", public.Addr().String()), slog.String("management", management.Addr().String()),
		slog.Bool("tls", g.Config.Server.TLS != nil))
	<-ctx.Done()
	err := g.stop(ctx, servers)
	running.Wait()
	g.sealLast(ctx)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// stop says at /readyz that no more requests are wanted, and lets those under way
// finish; ctx has ended.
func (g *Gateway) stop(ctx context.Context, servers []*http.Server) error {
	g.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

func (g *Gateway) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(g.Log.Handler(), slog.LevelWarn),
	}
}

// changed follows what another node, or the command line, changed in the database.
func (g *Gateway) changed(ctx context.Context) error {
	return errors.Join(g.signer.Reload(ctx), g.named(ctx))
}

// sealing is what the log calls the sealing of the audit.
const sealing = "seal the audit"

// every does something again and again until ctx ends. What fails is tried again, and
// logged when it begins to fail.
func (g *Gateway) every(ctx context.Context, d time.Duration, what string, do func(context.Context) error) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	var failed error
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := do(ctx)
		if ctx.Err() == nil && err != nil && failed == nil {
			g.Log.ErrorContext(ctx, "background work failed", slog.String("work", what), slog.Any("cause", err))
		}
		failed = err
	}
}

// sealLast seals what the last requests recorded: a single node leaves nothing behind
// that could be changed unseen.
func (g *Gateway) sealLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealTimeout)
	defer cancel()
	if err := g.stores.sql.Seal(ctx); err != nil {
		g.Log.ErrorContext(ctx, "background work failed", slog.String("work", sealing), slog.Any("cause", err))
	}
}
