package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readyWithin bounds the start of a server on a busy machine.
const readyWithin = 30 * time.Second

// watch runs a server ("$@") until it ends or until standard input does, which is a
// pipe from the test binary: the kernel closes it even when the binary panics, times
// out or is killed. Then the server gets the signal, also when it is frozen, and its
// folder goes. The shell itself writes nothing but the server's process id: who would
// read more is gone by then.
const watch = `
folder=$1 signal=$2
shift 2
exec 3<&0
"$@" 3<&- &
server=$!
echo "$server" >"$folder/server.pid"
exec >/dev/null 2>&1
{ read -r _ <&3; kill "-$signal" "$server"; kill -CONT "$server"; } &
watcher=$!
wait "$server"
kill "$watcher"
cd / && rm -rf "$folder"
`

// A program is a server to start.
type program struct {
	folder string              // working folder; removed when the server has ended
	signal string              // ends the server at once: KILL, QUIT
	as     *syscall.Credential // nil: the user of the test
	args   []string            // the program and its arguments
}

// A process is a server that runs.
type process struct {
	folder   string
	lifeline io.Closer
	done     chan struct{} // closed when the server has ended and its folder is gone
	output   bytes.Buffer  // read only after done
}

// start starts the server and returns when ready does without an error.
func (p program) start(ready func(context.Context) error) (*process, error) {
	cmd := exec.Command("sh", append([]string{"-c", watch, "sh", p.folder, p.signal}, p.args...)...)
	cmd.Dir = p.folder
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
	// A group of its own, so that an interrupt at the terminal reaches the test alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.as}
	cmd.WaitDelay = 5 * time.Second
	s := &process{folder: p.folder, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	var err error
	if s.lifeline, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("storagetest: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("storagetest: %w", err)
	}
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // how it ended tells nothing: it is always ended by a signal
	}()
	if err := s.await(ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("storagetest: %s: %w\n%s", p.args[0], err, s.output.String())
	}
	return s, nil
}

// await asks every 10 ms whether the server is ready.
func (s *process) await(ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("ended by itself")
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// stop ends the server and returns when it has ended.
func (s *process) stop() {
	_ = s.lifeline.Close()
	<-s.done
}

// signal sends a signal to the server and to the processes it started: each connection to
// a PostgreSQL has one. The server gets it first, so that it starts no more when it stops.
func (s *process) signal(sig syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(s.folder, "server.pid"))
	if err != nil {
		return fmt.Errorf("storagetest: %w", err)
	}
	server := strings.TrimSpace(string(text))
	pid, err := strconv.Atoi(server)
	if err != nil {
		return fmt.Errorf("storagetest: %w", err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("storagetest: signal the server: %w", err)
	}
	children, err := os.ReadFile(filepath.Join("/proc", server, "task", server, "children"))
	if err != nil {
		return fmt.Errorf("storagetest: %w", err)
	}
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, sig) // it may have ended by itself
		}
	}
	return nil
}
