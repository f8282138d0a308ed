//go:build linux

package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a program that was started here, the only kind that is ever
// signalled.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	// intended: that it ends is no surprise.
	intended atomic.Bool
	err      error // how it ended; set before done is closed
}

// startProcess starts a command line with its output at the end of the file
// log. The child dies with this program.
func startProcess(log string, line ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own: Ctrl-C is this program's to pass on, in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", line[0], err)
	}
	p := &Process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Kill sends SIGKILL and returns when the process is gone. Killing one that is
// gone does nothing.
func (p *Process) Kill() {
	p.intended.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop sends SIGTERM and waits for the end. The error says how it ended
// otherwise than in good order: with another status than 0, or by SIGKILL
// after the limit.
func (p *Process) Stop(limit time.Duration) error {
	p.intended.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("it did not end within %s of SIGTERM", limit)
	}
	if p.err != nil {
		return fmt.Errorf("it ended with %w; it printed:\n%s", p.err, p.Tail())
	}
	return nil
}

// Pause stops the process where it is, all threads of it, until Resume.
func (p *Process) Pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Ended says that the process ended by itself, and what it printed; nil while
// it runs, and when it was meant to end.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		if p.intended.Load() {
			return nil
		}
		return fmt.Errorf("%s ended by itself: %w; it printed:\n%s", p.cmd.Path, errors.Join(p.err), p.Tail())
	default:
		return nil
	}
}

// Tail returns the end of what the process printed.
func (p *Process) Tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
