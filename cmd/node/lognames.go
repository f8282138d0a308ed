package node

import (
	"log/slog"
	"regexp"

	"github.com/annals-go/annals/store/privacy"
)

// readableAttr is how logs show values: durations as people write them, and no stream that tells
// who was forgotten, for logs are kept elsewhere and by others.
func readableAttr(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		return nameless(a, a.Value.String())
	case slog.KindAny:
		if err, is := a.Value.Any().(error); is {
			return nameless(a, err.Error())
		}
	}
	return readableDuration(groups, a)
}

// ofSubject finds the stream of somebody who was forgotten, up to what texts have behind a stream.
var ofSubject = regexp.MustCompile(`\b(` + privacy.SubjectAggregate + `/).+?( v\d| version \d| at version \d| is at | is damaged |: |,|"|\)|$)`)

func nameless(a slog.Attr, text string) slog.Attr {
	if without := ofSubject.ReplaceAllString(text, "${1}…${2}"); without != text {
		a.Value = slog.StringValue(without)
	}
	return a
}
