//go:build linux

package harness

import (
	"context"
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
	out  string
	done chan struct{} // closed when it has ended
	// intended: that it ends is no surprise.
	intended atomic.Bool
	err      error // how it ended; set before done is closed
}

// Start starts a command line with all its output at the end of the file log. The
// child dies with this program.
func Start(log string, line ...string) (*Process, error) { return StartApart(log, log, line...) }

// StartApart is Start with the standard output at the end of a file of its own.
func StartApart(log, stdout string, line ...string) (*Process, error) {
	talk, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = talk.Close() }() // the child has its own
	out, err := os.OpenFile(stdout, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = out, talk
	// A group of its own: Ctrl-C is this program's to pass on, in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", line[0], err)
	}
	p := &Process{cmd: cmd, log: log, out: stdout, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Kill sends SIGKILL, returns when the process is gone, and reports whether that is
// how it ended. Killing one that is gone does nothing.
func (p *Process) Kill() bool {
	p.intended.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
	status, is := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return is && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Wait returns when the process is gone; it kills it when ctx or the limit ends, and
// says so. How it ended is told by Code and Failure.
func (p *Process) Wait(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%v did not end: %w; it printed:\n%s", p.cmd.Args[1:], context.Cause(ctx), p.Tail())
	}
}

// Ready waits until probe succeeds. The error says that the process ended, or why
// probe did not within the limit, and what was printed.
func (p *Process) Ready(ctx context.Context, limit time.Duration, probe func() error) error {
	err := Until(ctx, limit, "it is ready", func() error {
		if p.Gone() {
			return nil
		}
		return probe()
	})
	if p.Gone() {
		err = errors.Join(errors.New("it ended"), p.err)
	}
	if err != nil {
		return fmt.Errorf("wait for %s: %w; it printed:\n%s", p.cmd.Path, err, p.Tail())
	}
	return nil
}

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Code is the exit status of a process that is gone, -1 if a signal ended it.
func (p *Process) Code() int { return p.cmd.ProcessState.ExitCode() }

// Failure says how a process that is gone ended, if not well.
func (p *Process) Failure() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%w; it printed:\n%s", p.err, p.Tail())
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

// Tail returns the end of what the process said, on its standard output only if that
// goes to the same file.
func (p *Process) Tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// Output returns the first megabyte of its standard output.
func (p *Process) Output() []byte {
	const most = 1 << 20
	text, err := os.ReadFile(p.out)
	if err != nil {
		return nil // it was there when the process began
	}
	return text[:min(len(text), most)]
}
