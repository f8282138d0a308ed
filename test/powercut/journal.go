//go:build linux

package main

import (
	"fmt"
	"sync"

	"github.com/annals-go/annals/store"
)

// order is a command that a client sent. It is sent again, the same, until
// its outcome is known or the load ends.
type order struct {
	id     string // the command's
	stream store.StreamID
	name   string
	body   []byte
}

// receipt is what the system answered to an order that it carried out.
type receipt struct {
	Version   uint64         `json:"version"`
	Position  store.Position `json:"position"`
	Duplicate bool           `json:"duplicate"`
}

// journal is what the clients sent and what they were told, on one file
// system. All methods may be called from many goroutines.
type journal struct {
	mu sync.Mutex

	sent       map[string]order
	receipts   map[string]receipt
	denied     map[string]string                 // definitely not carried out, and why
	ends       map[store.StreamID]store.Position // highest acknowledged
	furthest   store.Position                    // that any answer spoke of
	witness    string                            // the answer that did
	oddities   []string                          // answers that must not be, whatever the log holds
	dark       bool                              // the power is gone
	groundless int                               // what must not be, answered after that
}

func newJournal() *journal {
	return &journal{sent: map[string]order{}, receipts: map[string]receipt{}, denied: map[string]string{}, ends: map[store.StreamID]store.Position{}}
}

func (j *journal) send(o order) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent[o.id] = o
}

func (j *journal) acknowledge(o order, r receipt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.receipts[o.id] = r
	j.ends[o.stream] = max(j.ends[o.stream], r.Position)
	j.see(r.Position, "the answer to command "+o.id)
}

func (j *journal) deny(o order, why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.denied[o.id] = why
}

// read notes that an answer to a query rests on the position.
func (j *journal) read(p store.Position, what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.see(p, what)
}

func (j *journal) see(p store.Position, what string) {
	if p > j.furthest {
		j.furthest, j.witness = p, what
	}
}

// odd notes an answer that must not be. Without power it is counted apart: it
// tells how the system bears a disk that fails, and with a real cut nobody is
// left to hear it.
func (j *journal) odd(format string, v ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dark {
		j.groundless++
		return
	}
	j.oddities = append(j.oddities, fmt.Sprintf(format, v...))
}

// darken notes that the power goes now.
func (j *journal) darken() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dark = true
}

// settle begins a new page after a check: what was found is not found again by
// the next cut on the same file system.
func (j *journal) settle(b *book) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dark, j.groundless, j.oddities = false, 0, nil
	j.furthest, j.witness = min(j.furthest, b.tip), ""
	for id := range j.receipts {
		if _, stored := b.commands[id]; !stored {
			delete(j.receipts, id)
		}
	}
}

func (j *journal) acknowledged() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.receipts)
}

// last returns the highest position that was acknowledged of a stream.
func (j *journal) last(id store.StreamID) store.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ends[id]
}

// why returns why a command was not acknowledged.
func (j *journal) why(id string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if why, denied := j.denied[id]; denied {
		return why
	}
	return "no answer in time"
}
