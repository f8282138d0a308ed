//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a system that this program started, and the only kind of process
// that it ends.
type process struct {
	cmd  *exec.Cmd
	log  string        // file with what it printed
	done chan struct{} // closed when it has ended
}

// startProcess starts the program with its output in the file log. The child
// dies with this program.
func startProcess(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is not asked: it is killed
		close(p.done)
	}()
	return p, nil
}

// ready waits until probe succeeds, the process ends or the time is over.
func (p *process) ready(ctx context.Context, limit time.Duration, probe func() error) error {
	err := retry(ctx, limit, func() error {
		select {
		case <-p.done:
			return nil
		default:
			return probe()
		}
	})
	select {
	case <-p.done:
		err = errors.New("it ended")
	default:
	}
	if err != nil {
		return fmt.Errorf("wait for %s: %w; it printed:\n%s", p.cmd.Path, err, p.tail())
	}
	return nil
}

// kill ends the process at once and returns when it is gone. Ending an ended
// one does nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, and kills it if it has not within 15 s.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

// tail returns the end of what the process printed.
func (p *process) tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
