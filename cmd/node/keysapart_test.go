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
}

// Backups are found around a place and below it, however it is spelt.
func TestCopiesNear(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"data[1]/ns/20260102", "deep/down/below/backups/ns/20260102", "deep/shut", "old/ns/run-1", "other/backups/ns2/20260102", "ns/keys"} {
		if err := os.MkdirAll(in(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"data[1]/ns/20260102", "deep/down/below/backups/ns/20260102", "other/backups/ns2/20260102"} {
		if err := os.WriteFile(filepath.Join(in(d), "manifest.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(in("old/ns/run-1"), "run.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "deep/down", "other/elsewhere": "deep"} {
		if err := os.Symlink(in(to), in(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(in("deep/shut"), 0); err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(wd, in("deep"))
	if err != nil {
		t.Fatal(err)
	}
	const deep = "deep/down/below/backups"
	for place, want := range map[string]string{
		in("data[1]"):             "data[1]",
		in("data[1]/ns/keys"):     "data[1]",
		in("data[1]/new/deeper"):  "data[1]",
		in("deep"):                deep,
		in("deep/"):               deep,
		in("deep/./down/../down"): deep,
		relative:                  deep,
		relative + "/down/.":      deep,
		in("link"):                deep,
		in("link/below"):          deep,
		in(deep + "/ns"):          deep,
		in("old/ns"):              "old",
		in("old/keys"):            "old",
		in("other"):               "",
		in("ns"):                  "",
		in("ns/keys"):             "",
		in("new"):                 "",
		"nats:A":                  "",
	} {
		if want != "" {
			want = in(want)
		}
		if got, err := copiesNear(place, "ns"); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", place, got, err, want)
		}
	}
}

// What lies below a place is looked at as far as there is a bound for, and the nearest first.
func TestCopiesBelow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{"a/b/c/ns/1", "d/ns/1"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d, "manifest.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := copiesBelow(dir, "ns"); got != filepath.Join(dir, "d") || err != nil {
		t.Errorf("found %q, %v", got, err)
	}
	for most, want := range map[int]int{-1: 0, 0: 0, 1: 1, 2: 2, 9: 2} {
		if got := directoriesIn(dir, most); len(got) != want {
			t.Errorf("at most %d: %q", most, got)
		}
	}
	if got := directoriesIn(filepath.Join(dir, "none"), 1); len(got) != 0 {
		t.Errorf("in none: %q", got)
	}
}
