package kv

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// apiError is an error as the server writes it.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

const codeNotFound = 10037

// Codes with which the server refuses a commit for good. Every other error may
// pass, and does not prove that nothing was stored: it may come from a server
// that does not lead the stream any more, while the one that does stores the same
// message.
const (
	codeWrongLastSequence = 10071 // the checkpoint is another than expected
	codeMessageTooLarge   = 10054
	codeHeaderTooLarge    = 10097
	codeAtomicDisabled    = 10174
	codeBatchTooLarge     = 10199
)

// codeWriteInProgress: the checkpoint is being written, and not settled.
const codeWriteInProgress = 10164

// Codes with which the server says that it has no room.
const (
	codeAccountFull = 10002
	codeServerFull  = 10023
	codeMemoryFull  = 10028
	codeStorageFull = 10047
	codeStreamFull  = 10077
)

// codeBatchIncomplete: the server has not all of the batch. Either another one
// became the leader in the middle of it, or its disk is full: what a single
// server stages on the disk, and cannot, it calls incomplete.
const codeBatchIncomplete = 10176

func outcomeOf(e *apiError) (outcome, error) {
	switch e.ErrCode {
	case codeWrongLastSequence:
		return moved, e
	case codeMessageTooLarge, codeHeaderTooLarge, codeBatchTooLarge:
		return refused, fmt.Errorf("%w: %w", store.ErrTooLarge, e)
	case codeAtomicDisabled:
		return refused, fmt.Errorf("%w: %w", store.ErrInvalid, e)
	case codeWriteInProgress:
		return notStored, e
	}
	return unheard, e
}

// shortageWait is how long a commit is tried from the first sign that there is
// no room. What passes by itself, such as the change of a leader, has mostly
// passed by then; and an operator shall not have to wait for the name of what
// does not.
const shortageWait = time.Second

// shortage watches the attempts at one commit for signs that the server is out
// of storage. The zero value has seen none.
type shortage struct{ since time.Time }

// sign takes why an attempt failed at that time, and whether the leader
// answered a question after it. It returns what to tell the caller when such
// signs have come for long enough, nil until then.
func (s *shortage) sign(cause error, answers bool, at time.Time) error {
	named := shortageOf(cause, answers)
	if named == nil {
		return nil
	}
	if s.since.IsZero() {
		s.since = at
	}
	if at.Sub(s.since) < shortageWait {
		return nil
	}
	return named
}

// shortageOf names the shortage that may be behind the cause, nil if it is no
// sign of one. A server whose disk failed a write does not answer that write, nor
// any other to the same stream until it is started again; and it goes on to
// answer questions.
func shortageOf(cause error, answers bool) error {
	var api *apiError
	switch {
	case errors.As(cause, &api):
		switch api.ErrCode {
		case codeAccountFull, codeServerFull, codeMemoryFull, codeStorageFull, codeStreamFull:
			return fmt.Errorf("out of storage: %w", cause)
		case codeBatchIncomplete:
			return fmt.Errorf("perhaps out of storage: %w", cause)
		}
	case answers && errors.Is(cause, nats.ErrTimeout):
		return fmt.Errorf("perhaps out of storage: the server answers questions and no writes: %w", cause)
	}
	return nil
}
