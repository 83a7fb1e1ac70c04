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
	maxStreams     = 64 // of one HTTP/2 connection at a time (B-71)
	stopTimeout    = 10 * time.Second
	sweepInterval  = time.Minute
	sealTimeout    = 2 * time.Second        // for the last seals
	sealInterval   = 500 * time.Millisecond // a record is sealed within a second
	tellInterval   = time.Second
	lookInterval   = 10 * time.Second // for unfinished logins
)

// Run makes a gateway, listens where its configuration says and serves until ctx ends.
// The listener for operators comes first, so that probes see how the start goes on.
func Run(ctx context.Context, o Options) (err error) {
	g, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	l, err := listen(ctx, "management.listen", o.Config.Server.Management.Listen)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	management := g.begin(l, g.Management, stop)
	defer func() { _ = management.Close() }()
	if err := g.start(ctx); err != nil {
		return err
	}
	public, err := listen(ctx, "listen", o.Config.Server.Listen)
	if err != nil {
		return err
	}
	return g.serve(ctx, stop, public, management)
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
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return g.serve(ctx, stop, public, g.begin(management, g.Management, stop))
}

// begin serves a listener in the background; when that fails, it stops the gateway.
func (g *Gateway) begin(l net.Listener, h http.Handler, stop context.CancelCauseFunc) *http.Server {
	s := &http.Server{
		Addr: l.Addr().String(), Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // it would answer past the handler
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10,
			MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 256 << 10,
			SendPingTimeout: readTimeout, PingTimeout: readTimeout, WriteByteTimeout: writeTimeout,
		},
		ErrorLog: slog.NewLogLogger(g.Log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("serve %s: %w", l.Addr(), err))
		}
	}()
	return s
}

// serve serves the public listener beside the other one until ctx ends.
func (g *Gateway) serve(ctx context.Context, stop context.CancelCauseFunc, l net.Listener, management *http.Server) error {
	if t := g.Config.Server.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return errors.Join(fmt.Errorf("load the certificate: %w", err), l.Close(), management.Close())
		}
		l = tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	var running sync.WaitGroup
	// Until the last request is answered, changes made elsewhere count here too.
	behind, end := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { g.stores.sql.Watch(behind, g.changed) })
	running.Go(func() {
		g.every(behind, sweepInterval, "sweep", func(ctx context.Context) error { return g.stores.sql.Sweep(ctx, g.Now()) })
	})
	running.Go(func() { g.every(behind, ringInterval, "keep the key ring", g.keepRing) })
	running.Go(func() { g.every(behind, ringInterval, "seal anew", g.reseal) })
	running.Go(func() { g.every(behind, sealInterval, sealing, g.stores.sql.Seal) })
	running.Go(func() { g.every(behind, tellInterval, "tell users", g.teller.Tell) })
	running.Go(func() { g.every(behind, lookInterval, "look for unfinished logins", g.unfinished) })
	// Those who wait are sent home before the listener goes, so that they ask another node.
	waiting, home := context.WithCancel(behind)
	defer home()
	running.Go(func() { g.listenForAnswers(waiting) })
	public := g.begin(l, g.Public, stop)
	g.Log.InfoContext(ctx, "serving", slog.String("issuer", g.Config.Server.PublicURL),
		slog.String("listen", public.Addr), slog.String("management", management.Addr),
		slog.Bool("tls", g.Config.Server.TLS != nil))
	<-ctx.Done()
	home()
	g.stop(ctx, public, management)
	end()
	running.Wait()
	g.sealLast(ctx)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// stop says at /readyz that no more requests are wanted, takes those of balancers that
// have not looked yet, and lets those under way finish; ctx has ended. The probes answer
// until the end. What does not finish in time is cut off: whoever keeps a request open
// must not keep the gateway.
func (g *Gateway) stop(ctx context.Context, public, management *http.Server) {
	g.probes.Stop()
	if errors.Is(context.Cause(ctx), context.Canceled) { // else a listener failed
		g.Log.InfoContext(ctx, "stopping", slog.Duration("drain", g.Config.Server.Drain))
		<-time.After(g.Config.Server.Drain)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, s := range []*http.Server{public, management} {
		if err := s.Shutdown(ctx); err != nil {
			g.Log.WarnContext(ctx, "requests were cut off", slog.String("listen", s.Addr), slog.Any("cause", errors.Join(err, s.Close())))
		}
	}
}

// listenForAnswers wakes the polls that wait.
func (g *Gateway) listenForAnswers(ctx context.Context) {
	if err := g.waiters.Listen(ctx, g.stores.state); ctx.Err() == nil {
		g.Log.ErrorContext(ctx, "background work failed", slog.String("work", "listen for answers"), slog.Any("cause", err))
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
