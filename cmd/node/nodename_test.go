package node

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/cluster"
)

func TestNodeIsNamedAfterItsMachine(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"web1":                  "web1",
		"Web_1":                 "Web_1",
		"db-3.example.org":      "db-3",
		"10-0-0-7.internal":     "node-10-0-0-7",
		"größe":                 "gr--e",
		"-x":                    "node--x",
		"":                      "node",
		".":                     "node",
		strings.Repeat("a", 80): strings.Repeat("a", 64),
		strings.Repeat("1", 80): "node-" + strings.Repeat("1", 59),
	} {
		got := nameOf(host)
		if got != want || !nodeName.MatchString(got) {
			t.Errorf("machine %q: node %q, want %q", host, got, want)
		}
	}
}

func TestDurationsInLogsAreReadable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: readableDuration}))
	logger.Info("done", "took", 1500*time.Millisecond, "count", 3)
	if !strings.Contains(out.String(), `"took":"1.5s","count":3`) {
		t.Error(out.String())
	}
}

func TestHeirs(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	node := func(name string, roles ...cluster.Role) cluster.NodeStatus {
		return cluster.NodeStatus{Node: cluster.Node{Name: name, Roles: roles}, Partitions: 1, Duties: []string{"v"}}
	}
	all := cluster.AllRoles()
	cordoned, leaving := node("c", all...), node("l", all...)
	cordoned.Cordoned, leaving.Leaving = true, true
	idle := node("a", all...)
	idle.Partitions, idle.Duties = 0, nil
	for _, test := range []struct {
		name  string
		nodes []cluster.NodeStatus
		can   bool
	}{
		{"another of its kind", []cluster.NodeStatus{node("a", all...), node("b", all...)}, true},
		{"nobody else", []cluster.NodeStatus{node("a", all...)}, false},
		{"others that go or may not", []cluster.NodeStatus{node("a", all...), cordoned, leaving}, false},
		{"another that runs no views", []cluster.NodeStatus{node("a", all...), node("b", cluster.RoleActors)}, false},
		{"two that share its roles", []cluster.NodeStatus{node("a", all...), node("b", cluster.RoleActors), node("c", cluster.RoleProjectors)}, true},
		{"one that holds nothing", []cluster.NodeStatus{idle}, true},
		{"one that is not there", []cluster.NodeStatus{node("b", all...)}, true},
	} {
		if err := s.checkHeirs(test.nodes, "a"); (err == nil) != test.can {
			t.Errorf("%s: %v, want it drained: %v", test.name, err, test.can)
		}
	}
}
