package console

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

func TestPrintFilters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ jq, want string }{
		{"", `{"big":9007199254740993,"html":"<b>","list":[1,2]}` + "\n"},
		{".big", "9007199254740993\n"}, // beyond what a float64 keeps
		{".list[]", "1\n2\n"},
		{".html", "\"<b>\"\n"},
		{"select(.big == 0)", ""},
	} {
		c, out, _ := testConsole(nil)
		c.flags.jq = test.jq
		var err error
		if c.filter, err = compileFilter(test.jq); err != nil {
			t.Fatal(err)
		}
		err = c.Print(map[string]any{"big": uint64(9007199254740993), "html": "<b>", "list": []int{1, 2}})
		if err != nil || out.String() != test.want {
			t.Errorf("--jq %q: %q (%v), want %q", test.jq, out.String(), err, test.want)
		}
	}
	c, _, _ := testConsole(nil)
	c.filter, _ = compileFilter(".a.b")
	if err := c.Print(map[string]any{"a": "text"}); err == nil {
		t.Error("a filter that does not fit the data was silent")
	}
}

func TestGridIsPlainWhereNobodyWatches(t *testing.T) {
	t.Parallel()
	c, out, _ := testConsole(nil)
	g := c.Grid("NAME", "STATE")
	if err := g.Render("nobody is here"); err != nil || !g.Empty() || out.String() != "nobody is here\n" {
		t.Errorf("an empty table is %q, %v", out, err)
	}
	out.Reset()
	g.Add("ann\x1b[2J", Painted("\x1b[32mhere\x1b[0m"))
	g.Add(7, c.Wrapped("one", "two"))
	if err := g.Render("nobody is here"); err != nil || g.Empty() {
		t.Errorf("%v", err)
	}
	want := "NAME          STATE    \nann\\u001b[2J  \x1b[32mhere\x1b[0m     \n7             one two  \n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSONInText(t *testing.T) {
	t.Parallel()
	c, _, _ := testConsole(nil)
	data := json.RawMessage("{\"a\":\"\u009b\"}")
	if got, want := Indented(data), "{\n  \"a\": \"\\u009b\"\n}"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := c.Shortened(data, 1000), `{"a":"\u009b"}`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	if got, want := wrap("open deposit withdraw", 12), "open deposit\nwithdraw"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for given, want := range map[string]string{
		"muchtoolongword x": "much\ntool\nongw\nord\nx", "a longer": "a\nlong\ner", "äöüß äöü": "äöüß\näöü", "表表表": "表表\n表", "four": "four", "": "",
	} {
		if got := wrap(given, 4); got != want {
			t.Errorf("%q is wrapped as %q, want %q", given, got, want)
		}
	}
	if got := wrap("表", 1); got != "表" {
		t.Errorf("%q", got)
	}
}

// A table that is to fit keeps within the terminal, whatever it holds, and has all of it.
func TestGridFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, screen := range []int{60, 80, 200} {
		c, out, _ := testConsole(nil)
		g := c.Grid("TIME", "ACTION", "WHAT", "BY", "WHY", "OUTCOME", "NODE").Fit()
		g.table.SetStyle(table.StyleRounded)
		g.screen = screen
		g.Add("2 minutes ago", "projection.rollback", "accounts/"+long, "unverified:somebody@somewhere", "new disks, "+long+" 表表", "unknown: UNKNOWN_OUTCOME", "node-1")
		g.Add("now", "keys.copy", "keys", "ann", "", "done", "")
		if err := g.Render(""); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if width := text.StringWidth(strings.TrimSpace(line)); width != screen {
				t.Errorf("a line of %d on a terminal of %d: %s", width, screen, line)
			}
		}
		if n := strings.Count(out.String(), "x"); n != 600 {
			t.Errorf("%d of 600 letters are left", n)
		}
	}
	c, out, _ := testConsole(nil)
	g := c.Grid("TIME", "ACTION", "WHAT", "WHY").Fit("WHAT", "WHY")
	g.screen = 70
	g.Add("2 minutes ago", "projection.rollback", long, long)
	if err := g.Render(""); err != nil || !strings.Contains(out.String(), "2 minutes ago") || !strings.Contains(out.String(), "projection.rollback") {
		t.Errorf("the words did not give way first: %s, %v", out, err)
	}
	c, out, _ = testConsole(nil)
	g = c.Grid("WHY").Fit()
	g.Add(long)
	if err := g.Render(""); err != nil || !strings.Contains(out.String(), long) {
		t.Errorf("where nobody watches: %q, %v", out, err)
	}
}
