package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// headerPosition of an answer is the position that it speaks of, for
// min_position of the next question.
const headerPosition = "Annals-Position"

// timeout is how long the asker waits: the parameter timeout or the header
// Annals-Deadline, such as 500ms.
func (a *api) timeout(r *http.Request, slow bool) (time.Duration, error) {
	what, text := "parameter timeout", r.URL.Query().Get("timeout")
	if text == "" {
		what, text = "header "+gateway.HeaderDeadline, r.Header.Get(gateway.HeaderDeadline)
	}
	switch {
	case text == "" && slow:
		return a.MaxTimeout, nil
	case text == "":
		return a.Timeout, nil
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > a.MaxTimeout {
		return 0, &store.InvalidError{What: what, Value: text, Reason: "want a time such as 500ms, at most " + a.MaxTimeout.String()}
	}
	return timeout, nil
}

// knownHeaders are those of ours that a request may have.
var knownHeaders = []string{
	gateway.HeaderCommandID, gateway.HeaderExpectedVersion, gateway.HeaderSchema, gateway.HeaderOnConflict, gateway.HeaderCorrelationID,
	gateway.HeaderCausationID, gateway.HeaderCorrects, gateway.HeaderDeadline, gateway.HeaderWaitViews, gateway.HeaderMinPosition,
}

// checkHeaders refuses a header of ours that is not known, or that comes twice,
// for the same reason, and whoever says in one who it is.
func checkHeaders(h http.Header) error {
	for name, values := range h {
		invalid := func(reason string) error { return &store.InvalidError{What: "header", Value: name, Reason: reason} }
		switch {
		case !strings.HasPrefix(name, "Annals-"):
		case name == gateway.HeaderPrincipal:
			return invalid("who asks is told by a token, and never by a header")
		case !slices.Contains(knownHeaders, name):
			return invalid("no such header here")
		case len(values) != 1:
			return invalid("given more than once")
		}
	}
	return nil
}

// checkParameters refuses a parameter that is not known, that comes twice, or that
// cannot be read: a misspelt condition would be checked by nobody.
func checkParameters(r *http.Request, known ...string) error {
	if err := checkHeaders(r.Header); err != nil {
		return err
	}
	all, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &store.InvalidError{What: "parameters", Value: r.URL.RawQuery, Reason: err.Error()}
	}
	for name, values := range all {
		if len(values) != 1 {
			return &store.InvalidError{What: "parameter", Value: name, Reason: "given more than once"}
		}
		if name != "timeout" && !slices.Contains(known, name) {
			return &store.InvalidError{What: "parameter", Value: name, Reason: "it is not known here; known: " + strings.Join(append(known, "timeout"), ", ")}
		}
	}
	return nil
}

// number reads a parameter; 0 if there is none.
func number(r *http.Request, name string) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &store.InvalidError{What: "parameter " + name, Value: text, Reason: "want a decimal number"}
	}
	return n, nil
}

// minPosition is the position that a view must have reached: the parameter
// min_position or the header Annals-Min-Position.
func minPosition(r *http.Request) (store.Position, error) {
	if r.URL.Query().Has("min_position") {
		p, err := number(r, "min_position")
		return store.Position(p), err
	}
	text := r.Header.Get(gateway.HeaderMinPosition)
	if text == "" {
		return 0, nil
	}
	p, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &store.InvalidError{What: "header " + gateway.HeaderMinPosition, Value: text, Reason: "want a decimal number"}
	}
	return store.Position(p), nil
}

func streamOf(r *http.Request) (store.StreamID, error) {
	id := store.StreamID{Type: r.PathValue("aggregate"), ID: r.PathValue("id")}
	return id, id.Validate()
}

// atOf reads at_version and at_time, or what else comes before the underscore.
func atOf(r *http.Request, prefix string) (at actor.At, err error) {
	if at.Version, err = number(r, prefix+"_version"); err != nil {
		return at, err
	}
	at.Time, err = timeOf(r, prefix+"_time")
	return at, err
}

// momentOf reads at_position and at_time; the zero moment is now.
func momentOf(r *http.Request) (at projector.Moment, err error) {
	position, err := number(r, "at_position")
	if err == nil {
		at.Position = store.Position(position)
		at.Time, err = timeOf(r, "at_time")
	}
	return at, err
}

// timeOf reads a parameter; the zero time if there is none.
func timeOf(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, &store.InvalidError{What: "parameter " + name, Value: text, Reason: "want a time of RFC 3339"}
	}
	return t, nil
}

// codecOf is how the body is encoded. A body must say so: a page of another
// origin could send one that does not.
func codecOf(r *http.Request) (store.Codec, error) {
	text := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(text)
	switch {
	case err == nil && media == "application/json":
		return store.JSON, nil
	case err == nil && media == "application/msgpack":
		return store.MsgPack, nil
	}
	return nil, &store.InvalidError{What: "header Content-Type", Value: text, Reason: "want application/json or application/msgpack"}
}

func bodyOf(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &store.TooLargeError{What: "body", Size: int(max(r.ContentLength, tooLarge.Limit+1)), Limit: int(tooLarge.Limit)}
	}
	if err != nil {
		return nil, fmt.Errorf("read body: %w: %w", store.ErrUnavailable, err)
	}
	return body, nil
}

// listed reads names that are separated by commas.
func listed(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
