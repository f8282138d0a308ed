package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// limit bounds the making of a cluster, a start with its recovery, and a stop.
const limit = time.Minute

// Server is a PostgreSQL server that was started here. Its methods are for one
// goroutine at a time.
type Server struct {
	bin, dir string
	settings []string
	cmd      *exec.Cmd     // nil while it does not run
	ended    chan struct{} // closed when it has ended
	made     atomic.Int64  // databases
}

// Start makes a new cluster with the newest PostgreSQL that is installed, and
// starts its server with the settings, each as in "fsync=off". The error is
// [ErrNotInstalled] if there is none. The caller closes the server.
func Start(settings ...string) (*Server, error) {
	bin, err := Find()
	if err != nil {
		return nil, err
	}
	// Short, for the path of a socket may not be long; and not below a test's own
	// directory, which the server's user may not enter.
	dir, err := os.MkdirTemp("", "annals-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	if err = s.create(); err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create makes the cluster. Nothing in it is worth a sync yet.
func (s *Server) create() error {
	if err := prepare(s.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", owner,
		"--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	cmd.Dir = s.dir
	if err := as(cmd); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return failed("make a cluster", err, out)
	}
	return nil
}

// owner is the one user of a cluster, and may do anything in it.
const owner = "annals"

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }

// URL returns how to connect to the database that every server has. It stays
// the same when the server is started again.
func (s *Server) URL() string { return s.urlOf("postgres") }

func (s *Server) urlOf(database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s", owner, database, url.QueryEscape(s.dir))
}

// Start starts the server again, after [Server.Stop] or [Server.Kill], and
// returns when it answers.
func (s *Server) Start() error {
	if s.cmd != nil {
		return nil
	}
	out, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the server has its own
	args := []string{
		"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200",
		"-c", "dynamic_shared_memory_type=mmap", // in its directory: what a killed server shares would stay in the system's
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	if err := as(cmd); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	return s.answers()
}

// answers waits until the server takes connections.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-again.C:
		case <-s.ended:
			return fmt.Errorf("start server: it ended; it printed:\n%s", s.tail())
		case <-ctx.Done():
			return fmt.Errorf("start server: %w; it printed:\n%s", err, s.tail())
		}
	}
}

// tail returns the end of what the server printed.
func (s *Server) tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// Stop ends the server in good order: connections are closed, what was not
// committed is rolled back. Its data stay.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return fmt.Errorf("stop server: %w", err)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.ended:
		s.cmd = nil
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("stop server: it did not end within %s", limit), s.Kill())
	}
}

// Kill ends the server and all that serves its connections as a crash does. Its
// data stay; the next Start recovers them.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	children := crash(s.cmd.Process)
	<-s.ended
	s.cmd = nil
	for deadline := time.Now().Add(limit); len(children) > 0; time.Sleep(time.Millisecond) {
		if !alive(children[0]) {
			children = children[1:]
		} else if time.Now().After(deadline) {
			return fmt.Errorf("kill server: process %d is still there", children[0])
		}
	}
	return nil
}

// Close kills the server and removes its data.
func (s *Server) Close() error {
	err := s.Kill()
	if removed := os.RemoveAll(s.dir); err == nil {
		err = removed
	}
	return err
}

// Database makes an empty database and returns how to connect to it. The
// options are as in "ENCODING 'LATIN1'".
func (s *Server) Database(ctx context.Context, options ...string) (string, error) {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }() // it has answered, or the error says so
	name := fmt.Sprintf("test%d", s.made.Add(1))
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 "+strings.Join(options, " ")); err != nil {
		return "", err
	}
	return s.urlOf(name), nil
}
