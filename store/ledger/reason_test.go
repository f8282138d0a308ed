package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// What nobody can see is no reason, and what is seen stays as it looks. The log keeps the very same.
func TestReasonsAreWhatShows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", ledger.MaxWhyBytes)
	for given, want := range map[string]string{
		"":                               "",
		" \t\n\u2028\u00a0\u0085":        "",
		"\u200b\u2060":                   "", // zero-width space, word joiner
		"\u200d \u200c":                  "", // joiners that join nothing
		"\ufe0f\U000e0100":               "", // variation selectors of nothing
		"\u3164\u115f\uffa0\u034f":       "", // fillers that count as letters, the grapheme joiner
		"\u2800 \u00ad\ufeff\x07\xff":    "",
		"a\x07😀":                         "a😀",
		" asked\nfor\r\n\tit \u200b on ": "asked for it on",
		"👩\u200d👩\u200d👧 left":           "👩\u200d👩\u200d👧 left",
		"👩🏽\u200d🚀":                      "👩🏽\u200d🚀",
		"❤\ufe0f\u200d🔥":                 "❤\ufe0f\u200d🔥",
		"1\ufe0f\u20e3":                  "1\ufe0f\u20e3",
		"می\u200cخواهم":                  "می\u200cخواهم", // which spells another word without
		"क्षत्रिय":                       "क्षत्रिय",
		"a\u200d\u200d\u200db":           "a\u200db",
		"a\u200d b\u200d":                "a b",
		"a\ufe0f\ufe0f\ufe0e":            "a\ufe0f",
		"\u200b" + long + "\u2060\n":     long,
	} {
		if got, err := ledger.Reason(given); err != nil || got != want {
			t.Errorf("%+q is read as %+.80q, %v, want %+.80q", given, got, err, want)
		}
		log := store.NewMemory(store.MemoryConfig{})
		a := act("1", ledger.Begun, at)
		a.Why = given
		if err := ledger.New(log).Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := read(t, log, at, at)[0].Why; got != want {
			t.Errorf("%+q is kept as %+.80q, want %+.80q", given, got, want)
		}
	}
	if _, err := ledger.Reason(long + "x"); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}
