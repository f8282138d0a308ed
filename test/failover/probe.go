//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/test/fleet"
)

// probe asks the owner of some applications for what it can answer from memory,
// a state or a rejection, and has it commit to others, again and again, from one
// place. The two are kept apart, because an application that waits for a commit
// answers nothing. The probe notes when it was answered; everything is in the
// history, too.
type probe struct {
	name    string
	client  fleet.Client
	history *fleet.History
	quiet   []string // nobody else sends to them
	busy    []string

	sent atomic.Uint64
	mu   sync.Mutex
	// memory are the answers from memory, commits those that acknowledge.
	memory, commits []fleet.Interval
	tried           []fleet.Interval // commits, however they ended
}

const (
	// probeLimit is how long a probe waits for an answer from memory: an owner
	// that may answer does so at once.
	probeLimit = 250 * time.Millisecond
	// commitLimit is how long it waits for a commit.
	commitLimit = 2 * time.Second
	probePause  = 10 * time.Millisecond
)

// run probes until ctx ends.
func (p *probe) run(ctx context.Context) {
	var all sync.WaitGroup
	again := func(once func(context.Context, string, int), id string, i int) {
		all.Go(func() {
			for fleet.Pause(ctx, probePause) == nil {
				once(ctx, id, i)
			}
		})
	}
	for i, id := range p.quiet {
		again(p.readOnce, id, i)
		again(p.rejectOnce, id, i)
	}
	for i, id := range p.busy {
		again(p.commitOnce, id, i)
	}
	all.Wait()
}

// readOnce asks for a state, without a barrier.
func (p *probe) readOnce(ctx context.Context, id string, i int) {
	r, err := p.history.Ask(context.WithoutCancel(ctx), p.client, id, readers+i, false, probeLimit)
	if err == nil {
		p.note(&p.memory, r.Interval)
	}
}

// readers is above the numbers of the load's readers, and probers above those
// of its writers.
const (
	readers = 1 << 20
	probers = 1 << 20
)

// rejectOnce submits an application that has been: the answer needs no commit.
func (p *probe) rejectOnce(ctx context.Context, id string, i int) {
	o := p.do(ctx, id, probers+2*i, application.Submit{Amount: 1}, probeLimit)
	if o.Outcome == fleet.Rejected {
		p.note(&p.memory, o.Interval)
	}
}

func (p *probe) commitOnce(ctx context.Context, id string, i int) {
	o := p.do(ctx, id, probers+2*i+1, application.ScheduleWork{Item: "probe"}, commitLimit)
	p.note(&p.tried, o.Interval)
	if o.Outcome == fleet.OK {
		p.note(&p.commits, o.Interval)
	}
}

func (p *probe) do(ctx context.Context, id string, writer int, c application.Command, limit time.Duration) *fleet.Op {
	o := &fleet.Op{Stream: id, Command: c, Writer: writer, ID: fmt.Sprintf("%s/%d", p.name, p.sent.Add(1))}
	p.history.Do(context.WithoutCancel(ctx), p.client, o, limit)
	return o
}

func (p *probe) note(list *[]fleet.Interval, span fleet.Interval) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*list = append(*list, span)
}

// lastWithin returns when the last of the answers came that came within the
// span, and how many did.
func lastWithin(answers []fleet.Interval, span fleet.Interval) (last time.Duration, n int) {
	for _, a := range answers {
		if a.Done >= span.Sent && a.Done <= span.Done {
			last, n = max(last, a.Done), n+1
		}
	}
	return last, n
}

// firstSent returns the first answer to something that was sent within the
// span and answered in it; false if there is none.
func firstSent(answers []fleet.Interval, span fleet.Interval) (first time.Duration, n int) {
	for _, a := range answers {
		if a.Sent >= span.Sent && a.Done <= span.Done {
			if n++; n == 1 || a.Done < first {
				first = a.Done
			}
		}
	}
	return first, n
}
