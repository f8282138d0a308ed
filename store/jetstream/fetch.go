package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

const (
	// requestWait is how long one request waits for its answer.
	requestWait = 2 * time.Second
	// readPatience bounds how long a read is repeated while nobody answers: a
	// leader is elected in 4 to 9 seconds.
	readPatience = 10 * time.Second
)

// errNone says that the server holds no such message.
var errNone = errors.New("no such message")

// message is what the server holds at a sequence.
type message struct {
	subject  string
	sequence uint64 // in the stream that it came from
	local    uint64 // in its log stream
	place    uint64 // in the order, if it came from a log stream and that was asked for
	data     []byte
	stored   time.Time
	// before is the sequence that the writer named as the last one on the
	// subject, and that the server checked when it stored the message. attested
	// is false for a message that was stored without such a check.
	before   uint64
	attested bool
	// removed is true for the mark that a bucket keeps where a value was deleted.
	removed bool
}

// attest takes the value of the header that holds the writer's expectation.
func (m *message) attest(expected string) {
	before, err := strconv.ParseUint(expected, 10, 64)
	m.before, m.attested = before, err == nil
}

// located notes where the message was found, by the header that a sourced one has.
func (m *message) located(sequence uint64, sourced bool, header string) (err error) {
	m.sequence, m.local = sequence, sequence
	if sourced {
		_, m.local, err = readSource(header)
	}
	return err
}

// sources reports whether what is asked for on the subject is sourced.
func (n *names) sources(asked string) bool {
	return n.sourced() && (asked == n.order.leaderGet || asked == n.order.directGet)
}

// Requests for one message.

func lastOn(subject string) []byte {
	return append(append([]byte(`{"last_by_subj":"`), subject...), `"}`...)
}

func nextOn(subject string, from uint64) []byte {
	b := strconv.AppendUint([]byte(`{"seq":`), from, 10)
	b = append(b, `,"next_by_subj":"`...)
	return append(append(b, subject...), `"}`...)
}

func since(t time.Time) []byte {
	return append(t.UTC().AppendFormat([]byte(`{"start_time":"`), time.RFC3339Nano), `"}`...)
}

func at(sequence uint64) []byte {
	return append(strconv.AppendUint([]byte(`{"seq":`), sequence, 10), '}')
}

// request sends data once and returns the first answer to it.
func (l *Log) request(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	return l.exchange(ctx, &nats.Msg{Subject: subject, Data: data})
}

// exchange sends a message once and returns the first answer to it.
func (l *Log) exchange(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	return l.exchangeWithin(ctx, requestWait, m)
}

func (l *Log) exchangeWithin(ctx context.Context, most time.Duration, m *nats.Msg) (*nats.Msg, error) {
	c := l.inbox.open()
	defer l.inbox.close(c)
	m.Reply = c.reply
	if err := l.cfg.Conn.PublishMsg(m); err != nil {
		return nil, err
	}
	got, err := c.wait(ctx, most)
	if err == nil && len(got.Data) == 0 && got.Header.Get(statusHeader) == statusNoResponders {
		err = nats.ErrNoResponders
	}
	return got, err
}

// fetch asks a stream's leader for one message, once. No linearizable read
// exists: a deposed leader may answer too. errNone: the leader holds none.
func (l *Log) fetch(ctx context.Context, leader string, request []byte) (*message, error) {
	m, err := l.request(ctx, leader, request)
	if err != nil {
		return nil, err
	}
	return readStored(m, l.names.sources(leader))
}

// readStored reads a leader's answer to a request for one message, of one that is
// sourced or not.
func readStored(m *nats.Msg, sourced bool) (*message, error) {
	var body struct {
		Error   *apiError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Stored   time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil {
		return nil, fmt.Errorf("unreadable answer: %w", err)
	}
	if body.Error != nil {
		if body.Error.ErrCode == codeNotFound {
			return nil, errNone
		}
		return nil, body.Error
	}
	if body.Message == nil {
		return nil, fmt.Errorf("unreadable answer: %.80q", m.Data)
	}
	found := &message{subject: body.Message.Subject, data: body.Message.Data, stored: body.Message.Stored}
	found.attest(headerIn(body.Message.Header, expectedLastSubject))
	found.removed = headerIn(body.Message.Header, kvOperation) != ""
	return found, found.located(body.Message.Sequence, sourced, headerIn(body.Message.Header, sourceHeader))
}

// headerIn returns the value of a header in the bytes of a header block.
func headerIn(block []byte, name string) string {
	_, rest, found := bytes.Cut(block, []byte("\r\n"+name+":"))
	value, _, ended := bytes.Cut(rest, []byte("\r\n"))
	if !found || !ended {
		return ""
	}
	return string(bytes.TrimSpace(value))
}

// fetchFirmly is fetch, repeated while nobody can answer, within the patience
// of a read. The error is errNone, ctx's or matches [store.ErrUnavailable].
func (l *Log) fetchFirmly(ctx context.Context, leader string, request []byte) (m *message, err error) {
	err = l.firmly(ctx, func(ctx context.Context) error {
		m, err = l.fetch(ctx, leader, request)
		return err
	})
	return m, err
}

// firmly repeats ask while nobody can answer, within the patience of a read.
func (l *Log) firmly(ctx context.Context, ask func(context.Context) error) error {
	return l.firmlyFor(ctx, readPatience, ask)
}

func (l *Log) firmlyFor(ctx context.Context, most time.Duration, ask func(context.Context) error) error {
	patience, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return unavailable(context.Cause(ctx))
		}
		if err := l.link.err(); err != nil {
			return unavailable(err)
		}
		err := ask(patience)
		if err == nil || errors.Is(err, errNone) || errors.Is(err, store.ErrTooLarge) {
			return err
		}
		if !l.worthAnotherTry(err) || pause(patience, try) != nil {
			return unavailable(err)
		}
	}
}

// worthAnotherTry reports whether a request that failed so may succeed soon. In
// a cluster that includes "stream not found": a server may lead a stream for a
// moment before it has opened it.
func (l *Log) worthAnotherTry(err error) bool {
	var api *apiError
	if errors.As(err, &api) {
		return isTransientCode(api.ErrCode) || api.ErrCode == codeStreamNotFound && l.replicas > 1
	}
	return !errors.Is(err, nats.ErrConnectionClosed)
}

func unavailable(cause error) error {
	if errors.Is(cause, store.ErrUnavailable) {
		return cause
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, cause)
}

// fetchNear asks any replica of a stream for one message, once. It may be
// behind; what it has is compared with what is known, so it need not be trusted.
// errNone: the replica has none.
func (l *Log) fetchNear(ctx context.Context, replicas string, request []byte) (*message, error) {
	m, err := l.request(ctx, replicas, request)
	if err != nil {
		return nil, err
	}
	return readDirect(m, l.names.sources(replicas))
}

// readDirect reads an answer to a direct get, of a message that is sourced or not.
func readDirect(m *nats.Msg, sourced bool) (*message, error) {
	if status := m.Header.Get(statusHeader); status != "" {
		if status == statusNotFound {
			return nil, errNone
		}
		return nil, fmt.Errorf("status %s %s", status, m.Header.Get(descriptionHeader))
	}
	sequence, err := strconv.ParseUint(m.Header.Get(nats.JSSequence), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("answer without a sequence: %w", err)
	}
	found := &message{subject: m.Header.Get(nats.JSSubject), data: m.Data}
	found.stored, _ = time.Parse(time.RFC3339Nano, m.Header.Get(nats.JSTimeStamp))
	found.attest(m.Header.Get(expectedLastSubject))
	return found, found.located(sequence, sourced, m.Header.Get(sourceHeader))
}

// lastSequence returns the sequence of the last message that the order's leader
// holds, 0 if there never was one.
//
// Of a sourced order one reads from a replica, which may have what its leader has
// decided and not yet written: the leader is asked again until it has what was
// seen.
func (l *Log) lastSequence(ctx context.Context) (sequence uint64, err error) {
	seen := l.durable.seen.Load()
	for try := 0; ; try++ {
		state, err := l.state(ctx, &l.names.order, nil)
		if err != nil || l.order == nil || state.LastSequence >= seen || try == aheadTries {
			return state.LastSequence, err
		}
		if err := pause(ctx, try+3); err != nil {
			return 0, unavailable(err)
		}
	}
}

// count returns how many messages the stream's leader counts on a subject,
// whether it can read them or not.
func (l *Log) count(ctx context.Context, k *kept, subject string) (uint64, error) {
	state, err := l.state(ctx, k, append(append([]byte(`{"subjects_filter":"`), subject...), `"}`...))
	return state.Subjects[subject], err
}

// streamState is what the server says of a stream.
type streamState struct {
	LastSequence uint64            `json:"last_seq"`
	Subjects     map[string]uint64 `json:"subjects"`
}

func (l *Log) state(ctx context.Context, k *kept, ask []byte) (state streamState, err error) {
	err = l.firmly(ctx, func(ctx context.Context) error {
		m, err := l.request(ctx, k.info, ask)
		if err != nil {
			return err
		}
		var body struct {
			Error *apiError   `json:"error"`
			State streamState `json:"state"`
		}
		if err := json.Unmarshal(m.Data, &body); err != nil {
			return fmt.Errorf("unreadable answer: %w", err)
		}
		if body.Error != nil {
			return body.Error
		}
		state = body.State
		return nil
	})
	return state, err
}
