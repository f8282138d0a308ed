//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// program is the loans example, built.
type program struct{ path string }

func build(ctx context.Context, dir string) (program, error) {
	p := program{filepath.Join(dir, "loans")}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", p.path, "github.com/annals-go/annals/cmd/loans").CombinedOutput()
	if err != nil {
		return p, fmt.Errorf("build loans: %w\n%s", err, out)
	}
	return p, nil
}

// call runs one command to its end and reads the JSON that it prints into
// answer. It returns the exit status.
func (p program) call(ctx context.Context, answer any, args ...string) (int, error) {
	cmd := exec.CommandContext(ctx, p.path, append(args, "--json", "--timeout", "60s")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("loans %s: %w", strings.Join(args, " "), err)
	}
	if out.Len() == 0 {
		return cmd.ProcessState.ExitCode(), fmt.Errorf("loans %s: exit status %d: %s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), talk.String())
	}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return 0, fmt.Errorf("loans %s: %w: %.200s", strings.Join(args, " "), err, out.String())
	}
	return cmd.ProcessState.ExitCode(), nil
}

// must is call for a command that has to succeed.
func (p program) must(ctx context.Context, answer any, args ...string) error {
	code, err := p.call(ctx, answer, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("loans %s: exit status %d", strings.Join(args, " "), code)
	}
	return err
}

// system is a running loans process with its own server.
type system struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; set before done is closed
	url  string
	conn *nats.Conn
	talk *os.File
}

// startPatience is how long a process may take until it serves.
const startPatience = time.Minute

// start runs "loans dev" on a data directory and waits until it serves.
func (p program) start(ctx context.Context, data, namespace string) (s *system, err error) {
	s = &system{done: make(chan struct{})}
	if s.talk, err = os.Create(data + ".log"); err != nil {
		return nil, err
	}
	printed, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer printed.Close()
	s.cmd = exec.Command(p.path, "dev", "--data", data, "--ns", namespace, "--sync", "none", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--headless", "--json")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	s.cmd.Stdout, s.cmd.Stderr = write, s.talk
	err = s.cmd.Start()
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	if err := s.listen(ctx, printed); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// listen waits for the line with the addresses.
func (s *system) listen(ctx context.Context, printed *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = printed.SetReadDeadline(time.Now()) })
	defer stop()
	_ = printed.SetReadDeadline(time.Now().Add(startPatience))
	var addresses struct {
		NATS string `json:"nats"`
	}
	if err := json.NewDecoder(printed).Decode(&addresses); err != nil {
		text, _ := os.ReadFile(s.talk.Name())
		return fmt.Errorf("loans dev did not come up: %w: %.2000s", err, text)
	}
	s.url = addresses.NATS
	var err error
	s.conn, err = nats.Connect(s.url)
	return err
}

// kill ends the process at once. Killing one that is gone does nothing.
func (s *system) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.ended()
}

// stop ends the process in good order.
func (s *system) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.ended()
}

func (s *system) ended() error {
	<-s.done
	if s.conn != nil {
		s.conn.Close()
	}
	_ = s.talk.Close()
	return s.err
}
