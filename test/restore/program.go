//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/test/harness"
)

// program is the loans example, built.
type program struct {
	path   string
	kek    string // what --kek says: it is kept apart from the data, which are lost
	starts int    // for the names of files
}

func build(ctx context.Context, dir string) (program, error) {
	p := program{path: filepath.Join(dir, "loans")}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", p.path, "github.com/annals-go/annals/cmd/loans").CombinedOutput()
	if err != nil {
		return p, fmt.Errorf("build loans: %w\n%s", err, out)
	}
	p.kek, err = harness.Kek(dir)
	return p, err
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
	*harness.Process
	url  string
	conn *nats.Conn
}

// startPatience is how long a process may take until it serves.
const startPatience = time.Minute

// start runs "loans dev" on a data directory and waits until it serves.
func (p *program) start(ctx context.Context, data, namespace string) (*system, error) {
	p.starts++
	said := fmt.Sprintf("%s.%d", data, p.starts)
	process, err := harness.StartApart(said+".log", said+".out", p.path, "dev", "--data", data, "--kek", p.kek, "--ns", namespace, "--sync", "none", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--headless", "--json")
	if err != nil {
		return nil, err
	}
	s := &system{Process: process}
	if err := s.Ready(ctx, startPatience, s.listens); err != nil {
		s.kill()
		return nil, err
	}
	if s.conn, err = nats.Connect(s.url); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// listens reads the line with the addresses.
func (s *system) listens() error {
	var addresses struct {
		NATS string `json:"nats"`
	}
	err := json.NewDecoder(bytes.NewReader(s.Output())).Decode(&addresses)
	s.url = addresses.NATS
	return err
}

// stopPatience is how long a process may take to end in good order.
const stopPatience = time.Minute

// kill ends the process at once. Killing one that is gone does nothing.
func (s *system) kill() {
	s.Kill()
	s.disconnect()
}

// stop ends the process in good order.
func (s *system) stop() error {
	defer s.disconnect()
	return s.Stop(stopPatience)
}

func (s *system) disconnect() {
	if s.conn != nil {
		s.conn.Close()
	}
}
