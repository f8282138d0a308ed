package privacy

import (
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// A Step is one of those that a forgetting takes, in this order.
type Step string

// The steps of a forgetting.
const (
	// StepFence gives the key up: nothing is sealed under it from then on.
	StepFence Step = "fence"
	// StepErase removes the wrapped key from the key store.
	StepErase Step = "erase"
	// StepPurge has all nodes drop the key, and waits for their word.
	StepPurge Step = "purge"
	// StepNotice writes down in the log that the subject was forgotten, for views.
	StepNotice Step = "notice"
	// StepAudit writes down who asked for it, and why.
	StepAudit Step = "audit"
	// StepDone marks the erasure as done.
	StepDone Step = "done"
)

// Taken is a step and when it was over.
type Taken struct {
	Step Step      `json:"step"`
	At   time.Time `json:"at"`
}

// Receipt says what became of the forgetting of a data subject. It is JSON.
type Receipt struct {
	// Realm names the key space, Subject whose data were forgotten.
	Realm   uuid.UUID `json:"realm"`
	Subject string    `json:"subject"`
	// ID is that of the erasure; Key names the key that was erased, zero if the subject
	// had none.
	ID  uuid.UUID `json:"id"`
	Key string    `json:"key,omitempty"`
	// At is when the key was given up, By who asked for it, and Why.
	At  time.Time `json:"at"`
	By  string    `json:"by"`
	Why string    `json:"why"`
	// Done says that all steps were taken, the last of them at Finished.
	Done     bool      `json:"done"`
	Finished time.Time `json:"finished,omitzero"`
	// Notice is where the log has the notice of it.
	Notice store.Position `json:"notice,omitempty"`
	// Steps are those that this call took. What an earlier one took, that was
	// interrupted, is taken again. None: all was done before.
	Steps []Taken `json:"steps,omitempty"`
}

func receiptOf(realm uuid.UUID, subject string, e Erasure) Receipt {
	r := Receipt{
		Realm: realm, Subject: subject, ID: e.ID, At: e.At, By: e.By, Why: e.Why,
		Done: e.Done, Finished: e.Finished, Notice: e.Notice,
	}
	if e.Key != (store.KeyID{}) {
		r.Key = e.Key.String()
	}
	return r
}

func (r *Receipt) took(s Step) { r.Steps = append(r.Steps, Taken{Step: s, At: time.Now().UTC()}) }
