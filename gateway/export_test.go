package gateway

import (
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// Rule is a rule of the table of codes.
type Rule struct {
	Code      Code
	Status    int
	Retryable bool
	Sentinel  error
}

// Rules is the table of codes.
func Rules() []Rule {
	var all []Rule
	for _, r := range rules {
		all = append(all, Rule{r.code, r.status, r.retryable, r.sentinel})
	}
	return all
}

// AnswerMessage is the answer to err as it goes over the wire.
func AnswerMessage(codec store.Codec, err error) (*nats.Msg, error) {
	e := answerTo(err)
	m := &nats.Msg{Header: nats.Header{HeaderContentType: headerOf(codec)[HeaderContentType]}}
	e.setHeaders(m.Header)
	var encodeErr error
	m.Data, encodeErr = encode(codec, e)
	return m, encodeErr
}

// ReadError reads an error answer.
func ReadError(m *nats.Msg) *Error { return readError(m) }

// Parsed is what the headers of a command say.
type Parsed struct {
	CommandID, CorrelationID, CausationID, Traceparent string
	Expected                                           uint64
	HasExpected                                        bool
	OnConflict                                         int
	Deadline                                           time.Time
}

// ParseCommandHeaders reads the headers of a command.
func ParseCommandHeaders(raw nats.Header, now time.Time) (Parsed, error) {
	h, err := parseHeaders(raw, commandHeaders, false, now)
	return Parsed{
		CommandID: h.commandID, CorrelationID: h.correlationID, CausationID: h.causationID, Traceparent: h.traceparent,
		Expected: h.expected, HasExpected: h.hasExpected, OnConflict: int(h.onConflict), Deadline: h.deadline,
	}, err
}

// ParseCommandSubject reads the subject of a command.
func ParseCommandSubject(namespace, subject string) (store.StreamID, string, error) {
	s := subjects{namespace: namespace}
	path, err := s.path(subject, namespace+".")
	if err != nil {
		return store.StreamID{}, "", err
	}
	return s.parseCommand(path)
}

// CommandSubject is the subject of a command.
func CommandSubject(namespace, typ, token, name string) string {
	return subjects{namespace: namespace}.command(typ, token, name)
}

// ReplyIsSafe reports whether an answer may be published to reply.
func ReplyIsSafe(namespace, reply string) bool { return replyIsSafe(namespace, reply) }

// Passage is what messages are passed on over.
type Passage struct{ p *passage }

// NewPassage opens one.
func NewPassage(conn *nats.Conn) (Passage, error) {
	p, err := newPassage(conn)
	return Passage{p}, err
}

// Close ends it.
func (p Passage) Close() { p.p.close() }

// Send passes a message on and tells how it fared, true: somebody got it.
func (p Passage) Send(subject string, fared func(bool)) error {
	return p.p.send(&nats.Msg{Subject: subject}, travellerFunc(fared))
}

// Tend does what is due at a time.
func (p Passage) Tend(now time.Time) bool { return p.p.tend(now) }

// LoseMark makes it believe that a mark is under way.
func (p Passage) LoseMark() {
	p.p.mu.Lock()
	defer p.p.mu.Unlock()
	p.p.markedAt = time.Now()
}

type travellerFunc func(bool)

func (f travellerFunc) arrived()  { f(true) }
func (f travellerFunc) returned() { f(false) }

// ParseAsker takes the asker out of a subject, and returns the path.
func ParseAsker(namespace, subject string) (principal, path string, err error) {
	principal, rest, err := subjects{namespace: namespace}.asker(subject)
	return principal, strings.TrimPrefix(rest, namespace+"."), err
}

// ParseQuery, ParseWatch and ParseGet read paths.
func ParseQuery(path string) (view, key string, err error) { return subjects{}.parseQuery(path) }

// ParseWatch is for watches.
func ParseWatch(path string) (view, key string, err error) { return subjects{}.parseWatch(path) }

// ParseGet is for gets.
func ParseGet(path string) (typ, id string, err error) {
	s, err := subjects{}.parseGet(path)
	return s.Type, s.ID, err
}

// TokenOf is the token in headers.
func TokenOf(h nats.Header) (string, error) { return tokenOf(h) }

// PassedIdentity is who asks, as a node says.
func PassedIdentity(h nats.Header) (Identity, error) { return passedIdentity(h) }

// IdentityHeaders is how a node says it.
func IdentityHeaders(who Identity) nats.Header {
	h := nats.Header{}
	who.headers(h)
	return h
}

// ReadWatchMessage reads a message of a watch of which so many changes were taken, and
// returns the number that it is, and whether it has a document.
func ReadWatchMessage(m *nats.Msg, taken uint64) (sequence uint64, document bool, err error) {
	s := &receiver{}
	s.taken.Store(taken)
	got, err := s.read(m)
	return got.Sequence, got.Document != nil, err
}

// ReadBodies reads a body as that of each control request and query, strictly as a
// gateway does.
func ReadBodies(body []byte) (errs []error) {
	r := &request{msg: &nats.Msg{Data: body}}
	for _, ask := range []any{
		&viewRequest{}, &rebuildRequest{}, &promoteRequest{}, &rewindRequest{}, &verifyRequest{}, &pageRequest{}, &letterRequest{}, &letterEventsRequest{}, &editRequest{},
		&skipRequest{}, &documentRequest{}, &listRequest{}, &waitRequest{}, &watchRequest{}, &stateRequest{}, &historyRequest{}, &diffRequest{}, &subjectRequest{},
		&forgetRequest{}, &erasuresRequest{}, &ledger.Act{}, &struct{}{},
	} {
		errs = append(errs, r.body(ask))
	}
	return errs
}

// ParseReadHeaders reads headers as those of a get, or of another read, that another node
// passed on or not.
func ParseReadHeaders(raw nats.Header, get, passed bool, now time.Time) error {
	known := readHeaders
	if get {
		known = getHeaders
	}
	_, err := parseHeaders(raw, known, passed, now)
	return err
}

// WithDefaults is a configuration as a gateway completes it.
func WithDefaults(c Config) Config { return c.withDefaults() }

// PendingLimits are how much the subscriptions of an endpoint hold, each.
func (g *Gateway) PendingLimits() (all [][2]int, err error) {
	for _, sub := range g.owners.subs {
		messages, bytes, err := sub.PendingLimits()
		if err != nil {
			return nil, err
		}
		all = append(all, [2]int{messages, bytes})
	}
	return all, nil
}

// Operations are all that a node may carry out, and whether each changes something.
func Operations() map[string]bool {
	all := map[string]bool{}
	for _, o := range slices.Concat(operations, subjectOperations, []operation{recordOperation, heldOperation}) {
		all[o.verb] = o.changes
	}
	return all
}
