package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// Error codes of the server that mean something to the log.
const (
	codeNoPeers             = 10005 // not enough servers, or not yet
	codeClusterUnavailable  = 10008 // no leader of the cluster or the stream
	codeNotLeader           = 10009
	codeNotFound            = 10037 // no such message
	codeTooLarge            = 10054
	codeStreamNotFound      = 10059
	codeSequenceMismatch    = 10063 // a replica applied it out of step
	codeWrongLastSequence   = 10071 // settled: the subject ends elsewhere
	codeStoreFailed         = 10077 // the stream is full
	codeDuplicateInProgress = 10158
	codeWriteInProgress     = 10164 // another write to the subject is proposed and not settled
	codeTooManyRequests     = 10167
	codeBatchIncomplete     = 10176
	codeDuplicateInBatch    = 10201
)

// Status headers of messages that carry no body.
const (
	sourceHeader        = "Nats-Stream-Source"
	statusHeader        = "Status"
	descriptionHeader   = "Description"
	statusHeartbeat     = "100"
	statusEndOfBatch    = "204"
	statusNotFound      = "404"
	statusExpired       = "408"
	statusConflict      = "409"
	statusNoResponders  = "503"
	conflictMaxBytes    = "Message Size Exceeds MaxBytes"
	conflictBatchOver   = "Batch Completed"
	statusTooMany       = "429"
	expectedLastSubject = nats.ExpectedLastSubjSeqHdr
)

// isTransientCode reports whether the same request may be answered differently
// soon.
func isTransientCode(code int) bool {
	switch code {
	case codeNoPeers, codeClusterUnavailable, codeNotLeader, codeSequenceMismatch, codeDuplicateInProgress, codeWriteInProgress,
		codeTooManyRequests, codeBatchIncomplete:
		return true
	}
	return false
}

// verdict is what an answer to a publish says about that publish.
type verdict int

const (
	lost    verdict = iota // nothing: it may be stored now, later or never
	busy                   // it was not stored; the next may be
	moved                  // it was not stored, for the subject ends elsewhere: perhaps with an earlier try of it
	refused                // it was not stored, nor would the next be
	stored
)

// answer is what came back for one publish.
type answer struct {
	verdict  verdict
	sequence uint64 // if stored
	reason   error  // otherwise
}

// apiError is an error as the server writes it.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// Is lets errors of a server that is out of room match [store.ErrUnavailable]:
// the request was right, and will pass when there is room again.
func (e *apiError) Is(target error) bool {
	return target == store.ErrUnavailable && (e.Code == 503 || e.ErrCode == codeStoreFailed)
}

// readAPIError returns the error in an answer of the server's API, or nil.
func readAPIError(data []byte) error {
	var body struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return fmt.Errorf("unreadable answer: %w", err)
	}
	if body.Error != nil {
		return body.Error
	}
	return nil
}

// readAnswer reads what the server answered to a publish.
func readAnswer(m *nats.Msg) answer {
	if len(m.Data) == 0 {
		return readStatus(m.Header)
	}
	if sequence, ok := readAck(m.Data); ok {
		return answer{verdict: stored, sequence: sequence}
	}
	var body struct {
		Error     *apiError `json:"error"`
		Sequence  uint64    `json:"seq"`
		Duplicate bool      `json:"duplicate"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil {
		return answer{reason: fmt.Errorf("unreadable acknowledgement: %w", err)}
	}
	switch {
	case body.Error != nil:
		return answer{verdict: verdictOf(body.Error.ErrCode), reason: body.Error}
	case body.Duplicate:
		return answer{verdict: moved, reason: fmt.Errorf("taken for a duplicate of sequence %d", body.Sequence)}
	case body.Sequence == 0:
		return answer{reason: fmt.Errorf("acknowledgement without a sequence: %.80q", m.Data)}
	}
	return answer{verdict: stored, sequence: body.Sequence}
}

func readStatus(h nats.Header) answer {
	status := h.Get(statusHeader)
	a := answer{reason: fmt.Errorf("status %s %s", status, h.Get(descriptionHeader))}
	switch status {
	case statusNoResponders:
		a.verdict, a.reason = busy, nats.ErrNoResponders
	case statusTooMany:
		a.verdict = busy
	}
	return a
}

func verdictOf(code int) verdict {
	switch code {
	case codeWrongLastSequence, codeDuplicateInBatch:
		return moved
	case codeWriteInProgress, codeDuplicateInProgress, codeTooManyRequests, codeNotLeader:
		return busy
	case codeClusterUnavailable, codeSequenceMismatch, codeBatchIncomplete:
		return lost
	}
	return refused
}

// readAck reads the usual acknowledgement, {"stream":"NAME","seq":17}, without
// the cost of a JSON decoder. ok is false for every other text.
func readAck(data []byte) (sequence uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	_, rest, ok = bytes.Cut(rest, []byte(`","seq":`))
	if !ok {
		return 0, false
	}
	digits, ok := bytes.CutSuffix(bytes.TrimLeft(rest, " "), []byte("}"))
	if !ok || len(digits) == 0 || len(digits) > 20 {
		return 0, false
	}
	sequence, err := strconv.ParseUint(string(digits), 10, 64)
	return sequence, err == nil && sequence > 0
}
