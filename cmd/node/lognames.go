package node

import (
	"log/slog"
	"reflect"
	"strings"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// readableAttr is how logs show values: durations as people write them, and no stream that tells
// who was forgotten, for logs are kept elsewhere and by others.
func readableAttr(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		return nameless(a, a.Value.String(), nil)
	case slog.KindAny:
		switch value := a.Value.Any().(type) {
		case error:
			return nameless(a, value.Error(), value)
		case store.StreamID:
			return nameless(a, value.String(), nil)
		}
	}
	return readableDuration(groups, a)
}

// readableDuration prints durations as people write them: 1.5s, where JSON would
// have nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// What begins the name of the stream of somebody who was forgotten, and what stands for that of nobody: no id
// that people have has its byte.
const (
	ofSubject = privacy.SubjectAggregate + "/"
	ofNobody  = privacy.SubjectAggregate + "\x00"
)

// nameless shows a text without who was forgotten. The id may be any text, so nobody knows where it ends: but for
// errors that know their stream, and say the same without it, the text ends where it begins.
func nameless(a slog.Attr, text string, err error) slog.Attr {
	if !strings.Contains(text, ofSubject) {
		return a
	}
	text, _, cut := strings.Cut(withoutSubjects(text, err), ofSubject)
	if cut {
		text += ofNobody
	}
	a.Value = slog.StringValue(strings.ReplaceAll(text, ofNobody, ofSubject+"…"))
	return a
}

// withoutSubjects has each error of a tree that knows its stream say what it says without who that is.
func withoutSubjects(text string, err error) string {
	if other := ofNobodys(err); other != nil {
		said := strings.ReplaceAll(other.Error(), ofSubject+"\x00", ofNobody)
		text = strings.ReplaceAll(text, err.Error(), said)
	}
	switch inner := err.(type) { //nolint:errorlint // each error of the tree is looked at
	case interface{ Unwrap() error }:
		return withoutSubjects(text, inner.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range inner.Unwrap() {
			text = withoutSubjects(text, e)
		}
	}
	return text
}

// ofNobodys is a copy of an error whose field Stream is that of somebody who was forgotten, with nobody in it; nil for
// others.
func ofNobodys(err error) error {
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	stream, is := v.Elem().Type().FieldByName("Stream")
	if !is || stream.Type != reflect.TypeFor[store.StreamID]() || v.Elem().FieldByName("Stream").Interface().(store.StreamID).Type != privacy.SubjectAggregate {
		return nil
	}
	other := reflect.New(v.Elem().Type())
	other.Elem().Set(v.Elem())
	other.Elem().FieldByName("Stream").Set(reflect.ValueOf(store.StreamID{Type: privacy.SubjectAggregate, ID: "\x00"}))
	copied, _ := other.Interface().(error)
	return copied
}
