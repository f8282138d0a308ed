package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// message is what the bucket's stream holds at a sequence.
type message struct {
	subject  string
	sequence uint64
	header   nats.Header
	data     []byte
}

// The headers of a document and of a checkpoint.
const (
	positionHeader = "Annals-Position"
	commitHeader   = "Annals-Commit-Id" // of a checkpoint: which commit wrote it
	lateHeader     = "Annals-Late"      // of a document: which late event was folded last, see projector.Late
	operationHdr   = "KV-Operation"     // of a deletion, as KV clients write it
	deletion       = "DEL"
)

// deleted reports whether the message says that its key has no value.
func (m *message) deleted() bool {
	op := m.header.Get(operationHdr)
	return op == deletion || op == "PURGE"
}

func (m *message) position() (store.Position, error) {
	p, err := strconv.ParseUint(m.header.Get(positionHeader), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: header %s: %w: %w", m.subject, positionHeader, store.ErrDamaged, err)
	}
	return store.Position(p), nil
}

func formatLate(l projector.Late) string { return fmt.Sprintf("%d %d", l.Parked, l.Position) }

func (m *message) late() (l projector.Late, err error) {
	text := m.header.Get(lateHeader)
	if text == "" {
		return l, nil
	}
	if _, err := fmt.Sscanf(text, "%d %d", &l.Parked, &l.Position); err != nil {
		return l, fmt.Errorf("%s: header %s: %w: %w", m.subject, lateHeader, store.ErrDamaged, err)
	}
	return l, nil
}

// getRequest asks for messages, in the words of the server.
type getRequest struct {
	Sequence  uint64   `json:"seq,omitempty"`
	Last      string   `json:"last_by_subj,omitempty"`
	Next      string   `json:"next_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpTo      uint64   `json:"up_to_seq,omitempty"` // with MultiLast: what comes later does not count
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"` // of all of them; 0 is what the server lets a connection have unread
}

func (r getRequest) encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic("kv: encode a request: " + err.Error()) // strings and numbers always encode
	}
	return data
}

// fromLeader asks the stream's leader for one message; nil if there is none.
func (b *bucket) fromLeader(ctx context.Context, r getRequest) (*message, error) {
	m, err := b.inbox.request(ctx, b.at.leaderGet, r.encode())
	if err != nil {
		return nil, err
	}
	var body struct {
		Error   *apiError `json:"error"`
		Message *struct {
			Subject  string `json:"subject"`
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil {
		return nil, fmt.Errorf("unreadable answer: %w", err)
	}
	switch {
	case body.Error != nil && body.Error.ErrCode == codeNotFound:
		return nil, nil
	case body.Error != nil:
		return nil, body.Error
	case body.Message == nil:
		return nil, fmt.Errorf("unreadable answer: %.80q", m.Data)
	}
	header := nats.Header{}
	if len(body.Message.Header) > 0 {
		if header, err = nats.DecodeHeadersMsg(body.Message.Header); err != nil {
			return nil, fmt.Errorf("unreadable answer: %w", err)
		}
	}
	return &message{subject: body.Message.Subject, sequence: body.Message.Sequence, header: header, data: body.Message.Data}, nil
}

var errGap = errors.New("an answer is missing")

// answers are messages in the order of the stream.
type answers struct {
	found []*message
	left  uint64 // how many more match
	upTo  uint64 // the stream's end as it answered, if the last values were asked for
}

// furthest is the highest sequence found.
func (a answers) furthest() uint64 {
	if len(a.found) == 0 {
		return 0
	}
	return a.found[len(a.found)-1].sequence
}

// fromAny asks any replica for many messages, at most room.
func (b *bucket) fromAny(ctx context.Context, r getRequest, room int) (a answers, err error) {
	c := b.inbox.open(room + 1)
	defer c.close()
	if err := b.conn.PublishRequest(b.at.directGet, c.reply(), r.encode()); err != nil {
		return answers{}, err
	}
	for {
		m, err := c.next(ctx, answerWait)
		if err != nil {
			return answers{}, err
		}
		if m.Header.Get("Status") != "" {
			return a.end(m)
		}
		if sequenceIn(m.Header, nats.JSLastSequence) != a.furthest() {
			return answers{}, errGap
		}
		a.found = append(a.found, &message{
			subject: m.Header.Get(nats.JSSubject), sequence: sequenceIn(m.Header, nats.JSSequence), header: m.Header, data: m.Data,
		})
	}
}

// end reads what ends a series of answers.
func (a answers) end(m *nats.Msg) (answers, error) {
	switch status := m.Header.Get("Status"); {
	case status == "204" && sequenceIn(m.Header, nats.JSLastSequence) == a.furthest():
		a.left, a.upTo = sequenceIn(m.Header, "Nats-Num-Pending"), sequenceIn(m.Header, "Nats-UpTo-Sequence")
		return a, nil
	case status == "204":
		return answers{}, errGap
	case status == "404" && len(a.found) == 0:
		return answers{}, nil
	default:
		return answers{}, fmt.Errorf("status %s %s", status, m.Header.Get("Description"))
	}
}

// sequenceIn reads a number from a header; 0 if there is none.
func sequenceIn(h nats.Header, name string) uint64 {
	n, err := strconv.ParseUint(h.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// toDocument reads a document; ok is false if the message is none. What a
// view deleted is a document without value; what another client deleted has no
// position, and is as if it had never been.
func (v *view) toDocument(m *message) (d projector.Document, ok bool, err error) {
	key, ok, err := v.names.key(m.subject)
	if err != nil || !ok || m.deleted() && m.header.Get(positionHeader) == "" {
		return projector.Document{}, false, err
	}
	d = projector.Document{Key: key, Document: m.data}
	if d.Position, err = m.position(); err != nil {
		return projector.Document{}, false, err
	}
	if d.Late, err = m.late(); err != nil {
		return projector.Document{}, false, err
	}
	if m.deleted() {
		d.Document = nil
	}
	return d, true, nil
}

func (v *view) toDocuments(found []*message) ([]projector.Document, error) {
	docs := make([]projector.Document, 0, len(found))
	for _, m := range found {
		d, ok, err := v.toDocument(m)
		if err != nil {
			return nil, err
		}
		if ok {
			docs = append(docs, d)
		}
	}
	return docs, nil
}
