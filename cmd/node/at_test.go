package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
)

func TestParseAt(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+2", 2*60*60)
	now := time.Date(2030, 5, 17, 12, 0, 0, 0, zone)
	for given, want := range map[string]actor.At{
		"":                          {},
		"1":                         {Version: 1},
		"18446744073709551615":      {Version: 1<<64 - 1},
		"2030-05-17":                {Time: time.Date(2030, 5, 16, 22, 0, 0, 0, time.UTC)},
		"2030-05-17T08:30":          {Time: time.Date(2030, 5, 17, 6, 30, 0, 0, time.UTC)},
		"2030-05-17 08:30:15":       {Time: time.Date(2030, 5, 17, 6, 30, 15, 0, time.UTC)},
		"2030-05-17T08:30:00Z":      {Time: time.Date(2030, 5, 17, 8, 30, 0, 0, time.UTC)},
		"2030-05-17T08:30:00-01:00": {Time: time.Date(2030, 5, 17, 9, 30, 0, 0, time.UTC)},
		"90m":                       {Time: time.Date(2030, 5, 17, 8, 30, 0, 0, time.UTC)},
	} {
		got, err := parseAt(given, now)
		if err != nil {
			t.Errorf("%q: %v", given, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", given, diff)
		}
	}
	for _, bad := range []string{"0", "-1", "yesterday", "2030-13-01", "-90m", "18446744073709551616", "1.5"} {
		if at, err := parseAt(bad, now); err == nil {
			t.Errorf("%q was read as %v", bad, at)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		at      actor.At
		version uint64
		time    time.Time
		want    bool
	}{
		{actor.At{}, 9, noon, true},
		{actor.At{Version: 3}, 3, noon, true},
		{actor.At{Version: 3}, 4, noon, false},
		{actor.At{Time: noon}, 4, noon, true},
		{actor.At{Time: noon}, 4, noon.Add(time.Microsecond), false},
	} {
		if got := covers(test.at, test.version, test.time); got != test.want {
			t.Errorf("%v covers version %d at %v: %v", test.at, test.version, test.time, got)
		}
	}
}
