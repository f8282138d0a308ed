package node

import (
	"testing"
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
		s, out, _ := testSession(nil)
		s.flags.jq = test.jq
		var err error
		if s.filter, err = compileFilter(test.jq); err != nil {
			t.Fatal(err)
		}
		err = s.Print(map[string]any{"big": uint64(9007199254740993), "html": "<b>", "list": []int{1, 2}})
		if err != nil || out.String() != test.want {
			t.Errorf("--jq %q: %q (%v), want %q", test.jq, out.String(), err, test.want)
		}
	}
	s, _, _ := testSession(nil)
	s.filter, _ = compileFilter(".a.b")
	if err := s.Print(map[string]any{"a": "text"}); err == nil {
		t.Error("a filter that does not fit the data was silent")
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	if got, want := wrap("open deposit withdraw", 12), "open deposit\nwithdraw"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := wrap("muchtoolongword x", 4); got != "muchtoolongword\nx" {
		t.Errorf("%q", got)
	}
}
