package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func TestDocumentsOfThePast(t *testing.T) {
	t.Parallel()
	b := startBank(t, func(c *gateway.Config) { c.Views = totals(1, 0) })
	c := newClient(t, b.conn)
	noon := time.Date(2012, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, at := range map[string]projector.Moment{
		`{"at":"12 0001-01-01T00:00:00Z"}`: {Position: 12},
		`{"at":"0 2012-03-01T12:00:00Z"}`:  {Time: noon},
	} {
		d, err := c.GetAt(t.Context(), "totals", "a/b", at)
		if err != nil || string(d.Document) != want || d.Key != "a/b" || d.Position != 10 {
			t.Errorf("at %+v: %+v %s, %v", at, d, d.Document, err)
		}
	}
	for what, ask := range map[string]struct {
		view string
		at   projector.Moment
		want error
	}{
		"no moment":       {"totals", projector.Moment{}, store.ErrInvalid},
		"to come":         {"totals", projector.Moment{Position: 101}, store.ErrInvalid},
		"not there then":  {"totals", projector.Moment{Position: 9}, store.ErrNotFound},
		"no such view":    {"nothing", projector.Moment{Position: 9}, projector.ErrNoView},
		"no view's name":  {"No", projector.Moment{Position: 9}, store.ErrInvalid},
		"of no documents": {"reactions", projector.Moment{Position: 9}, store.ErrInvalid},
	} {
		if _, err := c.GetAt(t.Context(), ask.view, "k", ask.at); !errors.Is(err, ask.want) {
			t.Errorf("%s: %v, want %v", what, err, ask.want)
		}
	}
}
