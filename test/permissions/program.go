//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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

// callPatience bounds one command.
const callPatience = 2 * time.Minute

// text runs a command to its end, and returns what it prints.
func (p program) text(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("loans %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(talk.String()))
	}
	return out.String(), nil
}

// token makes a token of a privacy officer, otto, and the file that nodes know it by.
func (p program) token(ctx context.Context, file string) (string, error) {
	text, err := p.text(ctx, "token", "new", "--role", "privacy-officer", "--principal", "otto", "--json")
	if err != nil {
		return "", err
	}
	var made struct{ Token, Line string }
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return made.Token, os.WriteFile(file, []byte(made.Line+"\n"), 0o600)
}

// node is a running "loans node".
type node struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; set before done is closed
	talk *os.File
	http string
}

// startPatience is how long a node may take until it serves.
const startPatience = time.Minute

// start runs a node, and returns when it serves.
func (p program) start(log string, args ...string) (*node, error) {
	talk, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	printed, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer printed.Close()
	n := &node{cmd: exec.Command(p.path, args...), done: make(chan struct{}), talk: talk}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	n.cmd.Stdout, n.cmd.Stderr = write, talk
	err = n.cmd.Start()
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	go func() {
		n.err = n.cmd.Wait()
		close(n.done)
	}()
	_ = printed.SetReadDeadline(time.Now().Add(startPatience))
	var up struct {
		HTTP string `json:"http"`
	}
	if err := json.NewDecoder(printed).Decode(&up); err != nil {
		_ = n.cmd.Process.Kill()
		<-n.done
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("loans %s did not come up: %w: %.4000s", strings.Join(args, " "), err, text)
	}
	n.http = up.HTTP
	return n, nil
}

// ask asks the node over HTTP, with a token.
func (n *node) ask(ctx context.Context, token, method, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, n.http+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	return nil
}

// stop ends the node in good order.
func (n *node) stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	<-n.done
	_ = n.talk.Close()
	return n.err
}
