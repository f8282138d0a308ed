//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/fleet"
)

// moment is where a node is killed: before a step has an effect, or after it and before the
// node knows.
type moment struct {
	step  privacy.Step
	after bool
}

func (m moment) String() string {
	if m.after {
		return "after " + string(m.step)
	}
	return "before " + string(m.step)
}

// steps are all of them, in order.
var steps = []privacy.Step{privacy.StepFence, privacy.StepErase, privacy.StepPurge, privacy.StepNotice, privacy.StepAudit, privacy.StepDone}

// trap waits for a step of the forgetting of a person, on whatever node takes it first.
type trap struct {
	moment
	subject, token string
	erased         int         // how often the person was forgotten before, all of it done
	closed         chan string // gets the name of the node that was killed
}

func newTrap(m moment, p *person) (*trap, error) {
	token, err := store.EncodeToken(p.id)
	if err != nil {
		return nil, fmt.Errorf("trap for %s: %w", p.id, err)
	}
	return &trap{moment: m, subject: p.id, token: token, erased: p.erased, closed: make(chan string, 1)}, nil
}

// traps are those that wait: one at most.
type traps struct {
	mu  sync.Mutex
	set *trap
}

func (t *traps) arm(trap *trap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = trap
}

// meets returns the trap if the message is what it waits for.
func (t *traps) meets(m *message) *trap {
	t.mu.Lock()
	set := t.set
	t.mu.Unlock()
	if set == nil || !set.isStep(m) {
		return nil
	}
	return set
}

// claim reports whether the trap closes here, and has it wait no more.
func (t *traps) claim(trap *trap) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.set != trap {
		return false
	}
	t.set = nil
	return true
}

// What the steps are on the wire.
const (
	keySubject     = fleet.Namespace + ".key."
	eraseSubject   = "$JS.API.STREAM.MSG.DELETE.ANNALS_" + fleet.Namespace + "_keys_"
	purgeSubject   = fleet.Namespace + ".node."
	purgeVerb      = ".subject.purge"
	eventSubject   = fleet.Namespace + ".evt."
	subjectStreams = "." + privacy.SubjectAggregate + "."
	auditStreams   = ".annals-audit."
	auditAction    = "subject.forgotten"
)

// isStep reports whether a node takes the trap's step with a message.
func (t *trap) isStep(m *message) bool {
	switch t.step {
	case privacy.StepFence, privacy.StepDone:
		return strings.HasPrefix(m.subject, keySubject) && strings.HasSuffix(m.subject, "."+t.token) && t.recordIs(m.payload)
	case privacy.StepErase:
		return strings.HasPrefix(m.subject, eraseSubject)
	case privacy.StepPurge:
		return strings.HasPrefix(m.subject, purgeSubject) && strings.HasSuffix(m.subject, purgeVerb) && bytes.Contains(m.payload, []byte(t.subject))
	case privacy.StepNotice:
		return strings.HasPrefix(m.subject, eventSubject) && strings.HasSuffix(m.subject, subjectStreams+t.token)
	case privacy.StepAudit:
		return strings.HasPrefix(m.subject, eventSubject) && strings.Contains(m.subject, auditStreams) &&
			bytes.Contains(m.payload, []byte(auditAction)) && bytes.Contains(m.payload, []byte(t.subject))
	}
	return false
}

// recordIs reports whether a key record is that of the trap's step: one more erasure and none of the
// new ones done, and no key; or one done, with a key if something was sealed meanwhile.
func (t *trap) recordIs(data []byte) bool {
	var r privacy.Record
	if json.Unmarshal(data, &r) != nil {
		return false
	}
	done := 0
	for _, e := range r.Erased {
		if e.Done {
			done++
		}
	}
	if t.step == privacy.StepDone {
		return done > t.erased
	}
	return r.Key == store.KeyID{} && len(r.Erased) > t.erased && done == t.erased
}
