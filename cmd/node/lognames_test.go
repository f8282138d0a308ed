package node

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Logs say what happened to the notice of a forgetting, and not whose it is.
func TestLogsDoNotNameTheForgotten(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"m-1", "7", "Ann B.", "ann@example.org", "a/b", "Smith, John", "Ann: Blake", "John (Jack) Smith", `Ann "the" Blake`, "Ann version 2 Blake", "Ann is at Blake", "Ann v2 Blake", "…Blake", "Ann\nBlake",
	} {
		words := strings.FieldsFunc(id, func(r rune) bool { return strings.ContainsRune(` ,:()"…`+"\n", r) })
		stream := privacy.Notice{Subject: id}.Stream()
		for _, c := range []struct {
			value any
			keeps string
		}{
			{stream.String(), "annals-subject/…"},
			{&store.ConflictError{Stream: stream, Expected: 3, Actual: 4}, "conflict: annals-subject/… is at version 4"},
			{&store.DamageError{Stream: stream, Version: 3, Sequence: 9, Reason: "torn"}, "annals-subject/… is damaged from version 3 on"},
			{&store.UnknownError{Stream: stream, Reason: errors.New("away")}, "append annals-subject/…: outcome unknown: away"},
			{fmt.Errorf("view roll stopped at %s version 2 (position 7): x", stream), "stopped at annals-subject/…"},
			{stream, "annals-subject/…"},
			{errors.Join(errors.New("both"), &store.RefusedError{Stream: stream, Reason: &store.ConflictError{Stream: stream, Actual: 4}}), "both\\nappend annals-subject/… refused: conflict: annals-subject/… is at version 4"},
			{fmt.Errorf("%w, of %s", &store.UnknownError{Stream: stream, Reason: errors.New("away")}, stream), "outcome unknown: away, of annals-subject/…"},
			{fmt.Sprintf("commits of %q", stream), "annals-subject/…"},
			{fmt.Errorf("open: %w", &privacy.KeyLostError{Subject: id, Key: store.KeyID{1}}), "key 01000000000000000000000000000000 of a data subject is lost"},
		} {
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: readableAttr})).Warn("it happened", "it", c.value, "after", time.Second)
			_, said, _ := strings.Cut(log.String(), " it=")
			if id != "7" && strings.Contains(said, words[len(words)-1]) || strings.Contains(said, "/"+words[0]) || !strings.Contains(said, c.keeps) || !strings.Contains(said, "after=1s") {
				t.Errorf("%v of %q is logged as %s", c.value, id, said)
			}
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: readableAttr})).Warn("other", "stream", "member/1", "err", errors.New("of member/1"))
	if got := log.String(); strings.Count(got, "member/1") != 2 {
		t.Errorf("other streams are not named: %s", got)
	}
}
