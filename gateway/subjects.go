package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// Subjects forgets data subjects, and knows who was. All methods may be called from many
// goroutines.
type Subjects interface {
	// Forget takes all steps of a forgetting, on all nodes.
	Forget(ctx context.Context, r privacy.Request) (privacy.Receipt, error)
	// Purge drops what this node has in memory of a subject that is being forgotten.
	Purge(ctx context.Context, subject string) error
	// Realm names the key space, for receipts.
	Realm() uuid.UUID
	// Subject returns what is kept of a subject's keys, without them.
	Subject(ctx context.Context, subject string) (privacy.Record, error)
	// Erasures returns the records of subjects that were forgotten at least once, in the
	// order of their ids, at most limit behind one.
	Erasures(ctx context.Context, after string, limit int) ([]privacy.Record, error)
}

// ErrForgetUnfinished says that a forgetting was begun and not finished: [CodeForgetUnfinished]. Asked for
// again, it goes on; the nodes go on by themselves, too.
var ErrForgetUnfinished = errors.New("forgetting not finished")

// CodeForgetUnfinished (503, retryable): the key is given up, but not all steps after that were
// taken. Asked for again, they are.
const CodeForgetUnfinished Code = "FORGET_UNFINISHED"

// Types of the answers about data subjects; they are permanent too.
const (
	typeReceipt  = "io.annals.api.v1.subject_forget_response"
	typeSubject  = "io.annals.api.v1.subject_get_response"
	typeErasures = "io.annals.api.v1.subject_ls_response"
	typePurged   = "io.annals.api.v1.subject_purge_response"
	typeRecorded = "io.annals.api.v1.audit_record_response"
)

const verbPurge = "subject.purge"

// subjectOperations are what is asked about data subjects.
var subjectOperations = []operation{
	{"subject.forget", `{"subject": ID, "why": TEXT, "by": NAME}`, typeReceipt, true, (*Gateway).subjectForget},
	{"subject.get", `{"subject": ID}`, typeSubject, false, (*Gateway).subjectGet},
	{"subject.ls", `{"after": ID, "limit": N}`, typeErasures, false, (*Gateway).subjectList},
}

// purgeOperation is what nodes ask each other for.
var purgeOperation = operation{verbPurge, `{"subject": ID}`, typePurged, false, (*Gateway).subjectPurge}

// recordOperation is for those who do what no node does for them, such as to drain one.
var recordOperation = operation{"audit.record", `{"id": ID, "action": TEXT, "what": TEXT, "by": NAME, "why": TEXT, "outcome": TEXT, "at": TIME}`, typeRecorded, true, (*Gateway).auditRecord}

// operated are the operations that this node carries out.
func (g *Gateway) operated() []operation {
	var all []operation
	if g.config.Operators != nil {
		all = append(append(all, operations...), heldOperation)
	}
	if g.config.Subjects != nil {
		all = append(all, subjectOperations...)
	}
	if g.config.Recorder != nil {
		all = append(all, recordOperation)
	}
	return all
}

// subjectRequest names a data subject.
type subjectRequest struct {
	Subject string `json:"subject"`
}

type forgetRequest struct {
	subjectRequest
	By  string    `json:"by"`
	Why string    `json:"why"`
	ID  uuid.UUID `json:"id,omitzero"`
}

func (r *forgetRequest) because() error {
	if err := tidied(&r.Why); err != nil {
		return err
	}
	if r.Why == "" {
		return &store.InvalidError{What: "why", Reason: "it is needed: the receipt and the audit log keep it"}
	}
	return nil
}

func (r forgetRequest) act() (what, by, why string) { return r.Subject, r.By, r.Why }

type receiptResponse struct {
	Type string `json:"type"`
	privacy.Receipt
}

// Subject is what is kept of a data subject's keys, without the keys.
type Subject struct {
	Subject string `json:"subject"`
	// Key names the key that is used now; empty if there is none.
	Key string `json:"key,omitempty"`
	// WrappedBy names the key that it is wrapped by.
	WrappedBy string `json:"wrapped_by,omitempty"`
	// Erased are the forgettings, oldest first.
	Erased []privacy.Receipt `json:"erased"`
}

type subjectResponse struct {
	Type string `json:"type"`
	Subject
}

type erasuresRequest struct {
	After string `json:"after"`
	Limit int    `json:"limit"`
}

type erasuresResponse struct {
	Type     string    `json:"type"`
	Subjects []Subject `json:"subjects"`
	// Next is what to ask for next; empty: these were the last.
	Next string `json:"next"`
}

// forgetAnswer is how long before the asker's time is over a forgetting that is not finished is
// answered, so that the asker hears why.
const forgetAnswer = 3 * time.Second

// subjectForget forgets. An asker that is known by name is who it was, whatever it says.
func (g *Gateway) subjectForget(ctx context.Context, r reading) (any, error) {
	var ask forgetRequest
	if err := g.personal(r, &ask, &ask.Subject); err != nil {
		return nil, err
	}
	if err := ask.because(); err != nil {
		return nil, err
	}
	ask.By = r.request.by(ask.By)
	ctx, cancel := context.WithDeadline(ctx, r.deadline.Add(-min(forgetAnswer, time.Until(r.deadline)/3)))
	defer cancel()
	return g.recorded(ctx, r, ask, func() (any, error) {
		receipt, err := g.config.Subjects.Forget(ctx, privacy.Request{Subject: ask.Subject, By: ask.By, Why: ask.Why, ID: ask.ID})
		return receiptResponse{typeReceipt, receipt}, unfinished(err)
	})
}

// unfinished is a step's failure on the wire. Before the key was given up, nothing was done; whether it was may
// not be known, and then the error says so by itself.
func unfinished(err error) error {
	if e, ok := errors.AsType[*privacy.StepError](err); ok && e.Step != privacy.StepFence {
		return fmt.Errorf("%w: step %s: %s", ErrForgetUnfinished, e.Step, e.Err.Error())
	}
	return err
}

// personal reads a request about a data subject from whoever may ask it.
func (g *Gateway) personal(r reading, ask any, subject *string) error {
	if err := r.body(ask); err != nil {
		return err
	}
	if _, err := store.EncodeToken(*subject); err != nil {
		return fmt.Errorf("data subject: %w", err)
	}
	return g.permit(r.request, Ask{Kind: KindPersonal, ID: *subject, Name: r.request.verb()})
}

func (g *Gateway) subjectGet(ctx context.Context, r reading) (any, error) {
	var ask subjectRequest
	if err := g.personal(r, &ask, &ask.Subject); err != nil {
		return nil, err
	}
	record, err := g.config.Subjects.Subject(ctx, ask.Subject)
	return subjectResponse{typeSubject, subjectOf(g.config.Subjects.Realm(), record)}, err
}

func subjectOf(realm uuid.UUID, r privacy.Record) Subject {
	s := Subject{Subject: r.Subject, WrappedBy: r.WrappedBy, Erased: []privacy.Receipt{}}
	if r.Key != (store.KeyID{}) {
		s.Key = r.Key.String()
	}
	for _, e := range r.Erased {
		receipt := privacy.Receipt{Realm: realm, Subject: r.Subject, ID: e.ID, At: e.At, By: e.By, Why: e.Why, Done: e.Done, Finished: e.Finished, Notice: e.Notice}
		if e.Key != (store.KeyID{}) {
			receipt.Key = e.Key.String()
		}
		s.Erased = append(s.Erased, receipt)
	}
	return s
}

// maxSubjects is how many data subjects an answer has at most.
const maxSubjects = 100

func (g *Gateway) subjectList(ctx context.Context, r reading) (any, error) {
	ask := erasuresRequest{Limit: maxSubjects}
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	if ask.Limit < 1 || ask.Limit > maxSubjects {
		return nil, &store.InvalidError{What: "limit", Value: strconv.Itoa(ask.Limit), Reason: "out of [1, " + strconv.Itoa(maxSubjects) + "]"}
	}
	if err := g.permit(r.request, Ask{Kind: KindPersonal, Name: r.request.verb()}); err != nil {
		return nil, err
	}
	records, err := g.config.Subjects.Erasures(ctx, ask.After, ask.Limit)
	if err != nil {
		return nil, err
	}
	return g.erasures(records, len(records) == ask.Limit)
}

// erasures answers as many as fit.
func (g *Gateway) erasures(records []privacy.Record, more bool) (any, error) {
	const frame = 512
	answer, room := erasuresResponse{Type: typeErasures, Subjects: []Subject{}}, g.maxReplyBytes()-frame
	for i, record := range records {
		s := subjectOf(g.config.Subjects.Realm(), record)
		size, err := sizeInJSON(s)
		if err != nil {
			return nil, err
		}
		if room -= size; room < 0 && i > 0 {
			more = true
			break
		}
		answer.Subjects = append(answer.Subjects, s)
	}
	if more {
		answer.Next = answer.Subjects[len(answer.Subjects)-1].Subject
	}
	return answer, nil
}

// subjectPurge is asked by the node that forgets.
func (g *Gateway) subjectPurge(ctx context.Context, r reading) (any, error) {
	var ask subjectRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	if err := g.config.Subjects.Purge(ctx, ask.Subject); err != nil {
		return nil, err
	}
	return purgedResponse{typePurged, g.config.Node}, nil
}

type purgedResponse struct {
	Type string `json:"type"`
	Node string `json:"node"`
}

// AskPurge has another node drop what it has in memory of a subject that is being forgotten.
// The error matches [nats.ErrNoResponders] if nobody is there.
func (g *Gateway) AskPurge(ctx context.Context, node, subject string) error {
	var answer purgedResponse
	return g.relay(ctx, node, pathControl+verbPurge, subjectRequest{subject}, &answer)
}

type recordedResponse struct {
	Type string `json:"type"`
}

// recordable are the actions that tools have recorded; all others are recorded by who carries them out.
var recordable = map[string]Kind{
	"archive.run": KindOperate, "backup.create": KindOperate, "event.import": KindOperate,
	"cluster.drain": KindOperate, "cluster.uncordon": KindOperate, "cluster.move": KindOperate, "cluster.rebalance": KindOperate,
	"keys.rewrap": KindOperate, "keys.rotate": KindOperate, "keys.copy": KindOperate, "keys.restore": KindOperate,
	"subject.export": KindPersonal, "event.export": KindPersonal, "provision": KindOperate,
}

// Recordable reports whether a node writes down that a tool carries out an action. A tool that
// asks for another is refused, and may then not do it.
func Recordable(action string) bool {
	_, is := recordable[action]
	return is
}

// RecordedID begins the ids of what tools have recorded, by a node or in the log itself: none is that of an act
// of a node.
const RecordedID = "tool."

// auditRecord writes down what an operator's own tool does, now. Whoever may do such a thing may say
// so, under its own name if that is known.
func (g *Gateway) auditRecord(ctx context.Context, r reading) (any, error) {
	var a ledger.Act
	if err := r.body(&a); err != nil {
		return nil, err
	}
	if a.ID == "" || a.Action == "" || a.Outcome == "" {
		return nil, &store.InvalidError{What: "act", Reason: "want id, action and outcome"}
	}
	kind, known := recordable[a.Action]
	if !known {
		return nil, &store.InvalidError{What: "action", Value: a.Action, Reason: "it is recorded by who carries it out"}
	}
	if err := g.permit(r.request, Ask{Kind: kind, Name: r.request.verb()}); err != nil {
		return nil, err
	}
	if err := tidied(&a.Why); err != nil {
		return nil, err
	}
	a.ID, a.By, a.At, a.Node = RecordedID+a.ID, r.request.by(a.By), time.Now(), g.config.Node
	return recordedResponse{typeRecorded}, g.config.Recorder.Record(ctx, a)
}
