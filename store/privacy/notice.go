package privacy

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Where the log says that somebody was forgotten: each data subject who ever was has a
// stream of the type SubjectAggregate, whose id is the subject's, with an event
// ForgottenEvent for each time.
const (
	SubjectAggregate = "annals-subject"
	ForgottenEvent   = "forgotten"
)

// Notice is the data of such an event. Views that have something to do then are told.
type Notice struct {
	// Subject is the data subject's id.
	Subject string `json:"subject"`
	// Keys are the keys that were erased, as [store.KeyID.String] prints them; none if
	// the subject had none.
	Keys []string `json:"keys,omitempty"`
	// Erasure is the id of the [Erasure], At when it began.
	Erasure uuid.UUID `json:"erasure"`
	At      time.Time `json:"at"`
}

// NoticeOf returns the notice of an erasure.
func NoticeOf(subject string, e Erasure) Notice {
	n := Notice{Subject: subject, Erasure: e.ID, At: e.At}
	if e.Key != (store.KeyID{}) {
		n.Keys = []string{e.Key.String()}
	}
	return n
}

// Stream is the stream that the notice is in.
func (n Notice) Stream() store.StreamID { return store.StreamID{Type: SubjectAggregate, ID: n.Subject} }

// Event returns the notice as the event that answers the commit's command of that index.
func (n Notice) Event(codec store.Codec, command int) (store.Event, error) {
	data, err := codec.Marshal(n)
	if err != nil {
		return store.Event{}, fmt.Errorf("encode notice: %w", err)
	}
	return store.Event{Type: ForgottenEvent, Schema: 1, Command: command, Data: data}, nil
}

// IsNotice reports whether an event is one that [ReadNotice] reads.
func IsNotice(e *store.Recorded[[]byte]) bool {
	return e.Stream.Type == SubjectAggregate && e.Type == ForgottenEvent
}

// ReadNotice reads the data of such an event. The error is the codec's; one without a
// subject is an [*store.InvalidError].
func ReadNotice(codec store.Codec, data []byte) (Notice, error) {
	var n Notice
	if err := codec.Unmarshal(data, &n, false); err != nil {
		return Notice{}, fmt.Errorf("decode notice: %w", err)
	}
	if n.Subject == "" {
		return Notice{}, &store.InvalidError{What: "notice", Value: "", Reason: "it names no data subject"}
	}
	return n, nil
}
