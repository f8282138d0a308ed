//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is this program started again as one of the builds, the only kind of
// process that is ever killed. It dies with this program.
type child struct {
	cmd   *exec.Cmd
	out   text
	ended chan struct{} // closed when it is gone
}

// text is what a process prints, bounded.
type text struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

const maxText = 1 << 20

// Write implements [io.Writer].
func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buffer.Len() < maxText {
		t.buffer.Write(p)
	}
	return len(p), nil
}

// String returns what was printed.
func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer.String()
}

// startChild runs a build with arguments.
func startChild(self string, line ...string) (*child, error) {
	c := &child{cmd: exec.Command(self, line...), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %v: %w", line, err)
	}
	go func() {
		_ = c.cmd.Wait() // the state says how it ended
		close(c.ended)
	}()
	return c, nil
}

// kill sends SIGKILL, returns when the process is gone, and reports whether it
// was still there to be killed.
func (c *child) kill() bool {
	_ = c.cmd.Process.Kill()
	<-c.ended
	status, is := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return is && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// wait returns when the process is gone, or kills it when ctx or the limit ends.
func (c *child) wait(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("%v did not end: %w; it printed:\n%s", c.cmd.Args[1:], context.Cause(ctx), c.out.String())
	}
}

// stop asks the process to end.
func (c *child) stop(limit time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	return c.wait(context.Background(), limit)
}

// gone reports whether it has ended.
func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// code is the exit code of a process that is gone.
func (c *child) code() int { return c.cmd.ProcessState.ExitCode() }

// failure says how the process ended, if not well.
func (c *child) failure() error {
	if c.code() == 0 {
		return nil
	}
	return errors.New(c.cmd.ProcessState.String() + "; it printed:\n" + c.out.String())
}
