package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The table that other languages' clients are written from: it only grows.
func TestCodesAreWhatIsDocumented(t *testing.T) {
	t.Parallel()
	want := map[gateway.Code]string{
		"INVALID": "400", "UNKNOWN_TYPE": "404", "UNKNOWN_VIEW": "404", "NOT_FOUND": "404", "CONFLICT": "409",
		"COMMAND_ID_REUSED": "409", "TOO_LARGE": "413", "REJECTED": "422", "BUSY": "429 again", "INTERNAL": "500",
		"REFUSED": "500", "ARCHIVED": "500", "DAMAGED": "500", "AHEAD": "500", "UNAVAILABLE": "503 again", "UNKNOWN_OUTCOME": "503 again",
		"DEADLINE": "504 again", "VIEW_TIMEOUT": "504 again",
		"NO_LETTER": "404", "CANDIDATE": "409", "NO_CANDIDATE": "409", "NO_PREVIOUS": "409", "PARITY": "409", "RETRY_UNFINISHED": "409 again",
		"UNAUTHENTICATED": "401", "FORBIDDEN": "403",
		"PAUSED": "503 again", "REBUILDING": "503 again", "SLOW_WATCHER": "429 again", "SWITCHED": "409 again",
	}
	got := map[gateway.Code]string{}
	for _, r := range gateway.Rules() {
		text := fmt.Sprint(r.Status)
		if r.Retryable {
			text += " again"
		}
		if before, ok := got[r.Code]; ok && before != text {
			t.Errorf("%s is %s and %s", r.Code, before, text)
		}
		got[r.Code] = text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// cross takes an error over the wire.
func cross(t *testing.T, codec store.Codec, err error) *gateway.Error {
	t.Helper()
	m, encodeErr := gateway.AnswerMessage(codec, err)
	if encodeErr != nil {
		t.Fatal(encodeErr)
	}
	e := gateway.ReadError(m)
	if e == nil {
		t.Fatalf("%v: no error at the other end", err)
	}
	return e
}

func TestErrorsKeepTheirSentinelOverTheWire(t *testing.T) {
	t.Parallel()
	seen := map[gateway.Code]bool{}
	for _, r := range gateway.Rules() {
		for _, codec := range []store.Codec{store.JSON, store.MsgPack} {
			sent := fmt.Errorf("while testing: %w", r.Sentinel)
			e := cross(t, codec, sent)
			if e.Code != r.Code || e.Status != r.Status || e.Retryable != r.Retryable || e.Inferred {
				t.Errorf("%v became %+v", sent, e)
			}
			if e.Code != gateway.CodeInternal && e.Error() != sent.Error() {
				t.Errorf("text %q, want %q", e, sent)
			}
			if !seen[r.Code] && !errors.Is(e, r.Sentinel) {
				t.Errorf("%s does not match %v", r.Code, r.Sentinel)
			}
			if again := cross(t, codec, e); again.Code != e.Code {
				t.Errorf("%s became %s at the second hop", e.Code, again.Code)
			}
		}
		seen[r.Code] = true
	}
}

// Errors that match several sentinels, as they really occur.
func TestPrecedenceOfCodes(t *testing.T) {
	t.Parallel()
	stream := store.StreamID{Type: "account", ID: "a"}
	for _, c := range []struct {
		what string
		err  error
		want gateway.Code
	}{
		{"the domain wraps a sentinel of ours", &actor.RejectedError{Reason: fmt.Errorf("no: %w", store.ErrUnknown)}, gateway.CodeRejected},
		{"an unknown outcome after a timeout", &store.UnknownError{Stream: stream, Reason: context.DeadlineExceeded}, gateway.CodeUnknownOutcome},
		{"refused for its size", &store.RefusedError{Stream: stream, Reason: store.ErrTooLarge}, gateway.CodeTooLarge},
		{"refused for another reason", &store.RefusedError{Stream: stream, Reason: errors.New("disk full")}, gateway.CodeRefused},
		{"refused for now", fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrRefused), gateway.CodeUnavailable},
		{"a view's timeout", &projector.TimeoutError{View: "v", Cause: context.DeadlineExceeded}, gateway.CodeViewTimeout},
		{"a bare deadline", context.DeadlineExceeded, gateway.CodeDeadline},
		{"a shutdown", context.Canceled, gateway.CodeUnavailable},
		{"a stranger", errors.New("dial tcp 10.0.0.7: refused"), gateway.CodeInternal},
	} {
		if got := gateway.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if got := gateway.CodeOf(nil); got != "" {
		t.Errorf("no error: %s", got)
	}
}

func TestDetailsTravel(t *testing.T) {
	t.Parallel()
	e := cross(t, store.MsgPack, &projector.TimeoutError{View: "v", Want: 9, Has: 4, Cause: context.DeadlineExceeded})
	if diff := cmp.Diff(map[string]uint64{"wanted_position": 9, "reached_position": 4}, e.Details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestErrorTextsFitAHeader(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\r\nAnnals-Error: forged", "nul\x00", strings.Repeat("é", 4000), "broken \xff"} {
		e := cross(t, store.JSON, fmt.Errorf("%w: %s", store.ErrInvalid, text))
		if len(e.Description) > 1024 || strings.ContainsAny(e.Description, "\r\n\x00") || !utf8.ValidString(e.Description) {
			t.Errorf("%q became %q", text, e.Description)
		}
	}
}

// An error of a service that is not ours, or is newer than this client.
func TestForeignErrorAnswers(t *testing.T) {
	t.Parallel()
	header := func(code string) nats.Header {
		return nats.Header{"Nats-Service-Error": {"no such thing"}, "Nats-Service-Error-Code": {code}}
	}
	for _, c := range []struct {
		code string
		body string
		want error
	}{
		{"404", "", store.ErrNotFound},
		{"503", "", store.ErrUnavailable},
		{"409", "not json", store.ErrConflict},
		{"500", "{}", actor.ErrInternal},
		{"many", "", actor.ErrInternal},
		{"422", `{"code":422,"err_code":"SOMETHING_NEW","description":"no such thing"}`, actor.ErrRejected},
	} {
		e := gateway.ReadError(&nats.Msg{Header: header(c.code), Data: []byte(c.body)})
		if !errors.Is(e, c.want) || e.Description != "no such thing" {
			t.Errorf("%s %s: %+v", c.code, c.body, e)
		}
	}
	if e := gateway.ReadError(&nats.Msg{Data: []byte("{}")}); e != nil {
		t.Errorf("an answer without error: %v", e)
	}
}
