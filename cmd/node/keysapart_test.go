package node

import (
	"os"
	"path/filepath"
	"testing"
)

// A place for keys is apart from that of the data however the two are spelt.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"data/deep", "keys", "data[1]"} {
		if err := os.MkdirAll(in(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(in("data/deep"), in("link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{in("data"), in("data"), true},
		{in("data"), in("data") + "/", true},
		{in("data"), in("keys/../data"), true},
		{in("data"), in("data/new/deeper"), true},
		{in("data"), in("link"), true},
		{in("data"), in("link/new"), true},
		{in("data"), dir, true},
		{in("new"), in("./new/"), true},
		{in("data"), in("keys"), false},
		{in("data"), in("data.keys"), false},
		{in("data"), in("new"), false},
		{"nats:A", "nats:A", true},
		{"nats:A", "nats:B", false},
		{"nats:A", in("data"), false},
	} {
		for range 2 {
			if got, err := together(c.a, c.b); got != c.want || err != nil {
				t.Errorf("%s and %s: %v, %v", c.a, c.b, got, err)
			}
			c.a, c.b = c.b, c.a
		}
	}
	if err := os.MkdirAll(in("data[1]/ns/20260102"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("data[1]/ns/20260102/manifest.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]string{in("data[1]"): in("data[1]"), in("data[1]/ns/keys"): in("data[1]"), in("data"): "", "nats:A": ""} {
		if want != "" {
			want, _ = filepath.EvalSymlinks(want)
		}
		if got, err := backupsAround(place, "ns"); got != want || err != nil {
			t.Errorf("%s: %q, %v", place, got, err)
		}
	}
}
