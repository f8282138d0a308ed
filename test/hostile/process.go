package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/bank"
)

// balances is a view of the accounts.
var balances = projector.Documents[bank.Event, bank.Account]{
	Name: "balances", Types: []string{bank.Accounts.Type}, Events: bank.Accounts.Events,
	Keys: func(e store.Recorded[bank.Event]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, a bank.Account, e store.Recorded[bank.Event]) bank.Account { return a.Evolve(e.Data) },
}

var app = node.App{Name: "bank", Aggregates: []actor.Definition{bank.Accounts}, Projections: []projector.Definition{balances}}

// text is a buffer that a process writes while others read.
type text struct {
	mu   sync.Mutex
	b    strings.Builder
	line chan string // gets the first line
}

func newText() *text { return &text{line: make(chan string, 1)} }

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.b.Write(p)
	if line, _, whole := strings.Cut(x.b.String(), "\n"); whole {
		select {
		case x.line <- line:
		default:
		}
	}
	return len(p), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// started is what a process says when it is up.
type started struct{ NATS, HTTP string }

// process is the command line of the application, running.
type process struct {
	at     started
	logged *text
	args   []string
	cancel context.CancelFunc
	ended  chan int
}

// launch runs a command line until stop, and returns when it is up.
func launch(env map[string]string, args ...string) (*process, error) {
	ctx, cancel := context.WithCancel(context.Background())
	out := newText()
	p := &process{logged: newText(), args: args, cancel: cancel, ended: make(chan int, 1)}
	go func() { p.ended <- call(ctx, env, out, p.logged, append(args, "--json")...) }()
	select {
	case line := <-out.line:
		if err := json.Unmarshal([]byte(line), &p.at); err != nil {
			return nil, fmt.Errorf("%v: %w", args, err)
		}
		return p, nil
	case code := <-p.ended:
		cancel()
		return nil, fmt.Errorf("%v ended with exit code %d: %s", args, code, p.logged)
	}
}

// call runs a command line to its end.
func call(ctx context.Context, env map[string]string, out, talk io.Writer, args ...string) int {
	streams := node.Streams{In: strings.NewReader(""), Out: out, Err: talk, Env: func(name string) string { return env[name] }}
	return node.Run(ctx, app, streams, args...)
}

// stop ends it in good order.
func (p *process) stop() error {
	p.cancel()
	if code := <-p.ended; code != 0 {
		return fmt.Errorf("%v: exit code %d: %s", p.args, code, p.logged)
	}
	return nil
}
