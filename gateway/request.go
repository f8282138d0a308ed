package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// request is one message that asks for an answer. Exactly one of answer, fail
// and passed is called, once, from any goroutine.
type request struct {
	gateway  *Gateway
	endpoint *endpoint
	msg      *nats.Msg
	reply    string // the asker's; empty if no answer is wanted
	path     string // of the subject
	who      Identity
	token    string      // that says so; of what was passed on none
	proof    string      // of the token of a watch that was passed on
	charged  []*account  // until it ends
	codec    store.Codec // of the answer, and of the body unless it is empty
	began    time.Time
}

// open looks at what every request must have right. A request whose answer
// must not be published is dropped, nil: to carry it out and say nothing would
// look like loss, and it has no honest sender.
func (g *Gateway) open(e *endpoint, m *nats.Msg) (*request, error) {
	r := &request{gateway: g, endpoint: e, msg: m, reply: m.Reply, codec: store.JSON, began: time.Now()}
	if names := m.Header[HeaderReply]; e.passed && len(names) > 0 {
		r.reply = names[0]
	}
	principal, subject, err := g.subjects.asker(m.Subject)
	if r.reply != "" && !replyIsSafe(g.config.Namespace, r.reply) {
		g.drop(r, principal)
		return nil, errReply
	}
	if err == nil {
		err = g.inspect(r, principal, subject)
	}
	if err != nil {
		r.who = Identity{Principal: principal} // all that is known: what is refused is charged, too
	}
	return r, cmp.Or(g.charge(r), err)
}

// inspect looks at what a request must have right before it is anybody's.
func (g *Gateway) inspect(r *request, principal, subject string) error {
	path, wrongPath := g.subjects.path(subject, r.endpoint.prefix)
	r.path = path
	if headersLost(r.msg) {
		return &store.InvalidError{What: "headers", Reason: "a line is no header"}
	}
	if err := g.config.checkHeaderSize(r.msg.Header); err != nil {
		return err
	}
	if err := checkOrigin(r.msg, r.reply != "" || principal == "" && !r.endpoint.passed); err != nil {
		g.metrics.republished.Inc()
		return err
	}
	codec, err := contentType(r.msg)
	if err != nil {
		return err
	}
	r.codec = codec
	if wrongPath != nil {
		return wrongPath
	}
	r.who, err = g.identify(r, principal)
	return err
}

// drop charges a request that gets no answer, and says so in the log, now and then.
func (g *Gateway) drop(r *request, principal string) {
	r.who = Identity{Principal: principal}
	_ = g.charge(r) // it is dropped in any case
	r.discharge()
	if n := g.drops.due(r.began); n > 0 {
		g.config.Logger.Warn("requests with a forbidden reply subject dropped", "subject", r.msg.Subject, "reply", r.reply, "since_last", n)
	}
	r.endpoint.count(0, answerTo(errReply))
}

var errReply = &store.InvalidError{What: "reply subject", Reason: "answers are not published there"}

// headersLost reports whether the message came with headers that could not be
// read. The client library then passes it on as if it had none, so a command
// would be carried out without its id and its conditions.
func headersLost(m *nats.Msg) bool {
	return m.Header == nil && m.Size() > len(m.Subject)+len(m.Reply)+len(m.Data)
}

// contentType says how a body is encoded, by its Content-Type or, without one,
// by its first byte: no msgpack map begins with a byte of ASCII, and every JSON
// text does.
func contentType(m *nats.Msg) (store.Codec, error) {
	value := m.Header.Get(HeaderContentType)
	if value == "" {
		value = m.Header.Get("content-type")
	}
	if value == "" {
		if len(m.Data) > 0 && m.Data[0] >= 0x80 {
			return store.MsgPack, nil
		}
		return store.JSON, nil
	}
	return codecOf(value)
}

func codecOf(contentType string) (store.Codec, error) {
	switch contentType {
	case contentJSON:
		return store.JSON, nil
	case contentMsgPack:
		return store.MsgPack, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
	case media == contentJSON:
		return store.JSON, nil
	case media == contentMsgPack || media == "application/x-msgpack" || media == "application/vnd.msgpack":
		return store.MsgPack, nil
	}
	return nil, &store.InvalidError{What: "header " + HeaderContentType, Value: contentType, Reason: "want " + contentJSON + " or " + contentMsgPack}
}

const (
	contentJSON    = "application/json"
	contentMsgPack = "application/msgpack"
)

// Header of answers without an error. They are shared and never written to.
var (
	jsonHeader    = nats.Header{HeaderContentType: {contentJSON}}
	msgPackHeader = nats.Header{HeaderContentType: {contentMsgPack}}
)

func headerOf(c store.Codec) nats.Header {
	if c == store.MsgPack {
		return msgPackHeader
	}
	return jsonHeader
}

// deadline returns until when the request may wait, at most so long. The error
// matches [actor.ErrDeadline] if that is over.
func (r *request) deadline(named time.Time, longest time.Duration) (time.Time, error) {
	if named.IsZero() {
		return r.began.Add(r.gateway.config.Timeout), nil
	}
	if !named.After(r.began) {
		return named, fmt.Errorf("%w: it was over when the request came", actor.ErrDeadline)
	}
	if latest := r.began.Add(longest); named.After(latest) {
		return latest, nil
	}
	return named, nil
}

// answer sends v. What cannot be encoded or is too large for an answer becomes
// an error answer; its code is returned, "" when v was sent.
func (r *request) answer(v any) Code {
	defer r.discharge()
	data, err := encode(r.codec, v)
	if err != nil {
		return r.fail(fmt.Errorf("%w: encode answer: %w", actor.ErrInternal, err))
	}
	if limit := r.gateway.maxReplyBytes(); len(data) > limit {
		return r.fail(&store.TooLargeError{What: "answer", Size: len(data), Limit: limit})
	}
	r.publish(headerOf(r.codec), data)
	r.endpoint.count(time.Since(r.began), nil)
	return ""
}

// fail sends the answer to err and returns its code.
func (r *request) fail(err error) Code {
	defer r.discharge()
	e := answerTo(err)
	if e.Code == CodeInternal {
		r.gateway.config.Logger.Error("request failed", "subject", r.msg.Subject, "err", err)
	}
	data, err := encode(r.codec, e)
	if err != nil {
		r.gateway.config.Logger.Error("error answer not encoded", "subject", r.msg.Subject, "err", err)
	}
	header := nats.Header{HeaderContentType: headerOf(r.codec)[HeaderContentType]}
	e.setHeaders(header)
	r.publish(header, data)
	r.endpoint.count(time.Since(r.began), e)
	return e.Code
}

// passTo is the request as it is passed on: its headers as far as they were
// read, who asks, the time that is left, and the asker's reply subject. A token
// stays here.
func (r *request) passTo(subject string, hops int, deadline time.Time) *nats.Msg {
	h := make(nats.Header, len(r.msg.Header)+4)
	for name, values := range r.msg.Header {
		switch lower := strings.ToLower(name); lower {
		case "annals-deadline", "annals-hops", "annals-reply", "annals-authorization", "annals-principal", "annals-until", "annals-proof":
		default:
			if strings.HasPrefix(lower, "annals-") || name == HeaderTraceparent {
				h[name] = values
			}
		}
	}
	h[HeaderContentType] = headerOf(r.codec)[HeaderContentType]
	h[HeaderDeadline] = []string{time.Until(deadline).String()}
	h[HeaderHops] = []string{strconv.Itoa(hops + 1)}
	if r.reply != "" {
		h[HeaderReply] = []string{r.reply}
	}
	r.who.headers(h)
	r.passProof(h)
	return &nats.Msg{Subject: subject, Header: h, Data: r.msg.Data}
}

// passed counts a request that another node answers.
func (r *request) passed() {
	r.discharge()
	r.endpoint.count(time.Since(r.began), nil)
}

// encode encodes an answer. JSON does not go through [store.JSON], whose limits
// are those of stored values: a page of documents may hold more.
func encode(codec store.Codec, v any) ([]byte, error) {
	if codec != store.JSON {
		return codec.Marshal(v)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// publish sends an answer if one is wanted. An answer that cannot be sent is
// lost, as any answer may be on its way; the asker asks again.
func (r *request) publish(header nats.Header, data []byte) {
	if r.reply == "" {
		return
	}
	err := r.gateway.config.Conn.PublishMsg(&nats.Msg{Subject: r.reply, Header: header, Data: data})
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		r.gateway.config.Logger.Debug("answer not sent", "subject", r.msg.Subject, "err", err)
	}
}
