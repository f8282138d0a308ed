package harness

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want Flags
		fail bool
	}{
		{"-seed 7 -dir d -keep", Flags{Seed: 7, Dir: "d", Keep: true}, false},
		{"-seed x", Flags{}, true},
		{"-seed 7 more", Flags{}, true},
		{"-h", Flags{}, true},
	} {
		var f Flags
		set := f.NewFlags("t", io.Discard, "everything")
		f.KeepFlag(set)
		err := Parse(set, strings.Fields(c.args))
		if (err != nil) != c.fail || !c.fail && f != c.want || (c.args == "-h") != errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %+v, %v", c.args, f, err)
		}
	}
}

// A run that has no report names its seed; one that has prints it, whatever the verdict.
func TestConclude(t *testing.T) {
	t.Parallel()
	f, bad := Flags{Seed: 7}, errors.New("bad")
	var out strings.Builder
	verdict := func() error { return bad }
	if err := f.Conclude(&out, 1, errors.New("broken"), verdict); err == nil || err.Error() != "seed 7: broken" || out.Len() > 0 {
		t.Errorf("without a report: %v, printed %q", err, out.String())
	}
	if err := f.Conclude(&out, map[string]int{"n": 1}, nil, verdict); !errors.Is(err, bad) || out.String() != "{\"n\":1}\n" {
		t.Errorf("with one: %v, printed %q", err, out.String())
	}
}
