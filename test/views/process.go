package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// process is a child that was started here, the only kind of process that is
// ever killed.
type process struct {
	cmd   *exec.Cmd
	input io.Closer
	log   string
	ended chan struct{} // closed when it is gone and all it printed was read
	err   error         // how it ended; set before ended is closed

	mu       sync.Mutex
	begun    int // commits
	finished int
	done     *caughtUp     // nil until it said so
	reached  chan struct{} // closed when enough commits have begun
	enough   int
}

// startChild starts this program again. It dies with this process, whose end
// closes its standard input. reached is closed when so many commits have begun.
func startChild(dir string, o childOptions, enough int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{
		cmd: exec.Command(self, o.args()...), log: filepath.Join(dir, "child.log"),
		ended: make(chan struct{}), reached: make(chan struct{}), enough: enough,
	}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	p.cmd.Stderr = log
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	go p.listen(out)
	return p, nil
}

// listen takes what the child prints until it is gone.
func (p *process) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.heard(lines.Text())
	}
	p.err = p.cmd.Wait()
	close(p.ended)
}

func (p *process) heard(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch line {
	case lineBegin:
		if p.begun++; p.begun == p.enough {
			close(p.reached)
		}
	case lineEnd:
		p.finished++
	default:
		var done caughtUp
		if json.Unmarshal([]byte(line), &done) == nil {
			p.done = &done
		}
	}
}

// kill sends SIGKILL and returns when the child is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.input.Close()
}

// finish waits for a child that ends by itself, and returns what it said.
func (p *process) finish(ctx context.Context) (caughtUp, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.kill()
		return caughtUp{}, ctx.Err()
	}
	_ = p.input.Close()
	if p.err != nil || p.done == nil {
		return caughtUp{}, fmt.Errorf("a child did not come to the log's end: %w; it printed:\n%s", errors.Join(p.err), p.tail())
	}
	return *p.done, nil
}

// tail returns the end of what the child had to say.
func (p *process) tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
