package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// ownerQueue is the queue group of the owners of a partition: two of them,
// while it moves, do not both get a request.
const ownerQueue = "owner"

// handler handles a request that was opened; err is what was found wrong with
// it. It must not block.
type handler func(r *request, err error)

// services are one for each role, so that each may be granted, found and
// watched by itself, and a node without a role does not pretend to have it.
func (g *Gateway) services(base context.Context) []*service {
	paths := g.controls(base)
	control := newService(g.config, "annals-control", "inspection")
	for _, c := range controlAnswers {
		if h := paths[pathControl+c.verb]; h != nil && !g.config.Inner {
			control.add(endpointName(c.verb), g.subjects.control(c.verb), answers(c.typ), g.opened(h))
		}
	}
	for _, o := range g.operated() {
		if h := paths[pathControl+o.verb]; h != nil && !g.config.Inner {
			control.add(endpointName(o.verb), g.subjects.control(o.verb), o.metadata(), g.opened(h))
		}
	}
	all := []*service{g.commandService(), control}
	if g.config.Views != nil {
		paths[pathQuery] = g.reader(base, g.query)
	}
	if g.config.Watches != nil {
		paths[pathWatch] = g.watcher(base)
	}
	if g.config.Views != nil && !g.config.Inner {
		all = append(all, g.queryService(paths[pathQuery], paths[pathWatch]))
	}
	node := control.add("node", g.subjects.node(g.config.Node)+">", nil, g.opened(g.byPath(amongNodes(paths))))
	node.prefix, node.passed = g.subjects.node(g.config.Node), true
	return all
}

// amongNodes leaves out what no node asks of another. Whoever may publish below a node's subjects says who
// asks, and is believed; so nobody can be forgotten there, and nothing written into the audit log.
func amongNodes(paths map[string]handler) map[string]handler {
	all := maps.Clone(paths)
	for _, o := range slices.Concat(subjectOperations, []operation{recordOperation}) {
		delete(all, pathControl+o.verb)
	}
	return all
}

func endpointName(verb string) string { return strings.ReplaceAll(verb, ".", "-") }

func (g *Gateway) commandService() *service {
	s := newService(g.config, "annals-commands", "commands")
	// Everything below cmd. and qry. is taken, so that a malformed subject gets
	// an answer and not silence.
	if !g.config.Inner {
		s.add("command", g.subjects.commands()+">", g.commandMetadata(), g.openedErrand(g.takeCommand))
	}
	g.owners = s.add("partition", g.subjects.partitions()+">", map[string]string{
		"command": g.subjects.partitions() + "PARTITION.cmd.TYPE.ID.COMMAND",
		"get":     g.subjects.partitions() + "PARTITION.get.TYPE.ID",
	}, g.openedErrand(g.takeErrand))
	g.owners.info.QueueGroup, g.owners.parts = ownerQueue, g.config.Partitioned
	return s
}

func (g *Gateway) queryService(query, watch handler) *service {
	s := newService(g.config, "annals-query", "views")
	s.add("query", g.subjects.queries()+">", map[string]string{
		"document": g.subjects.document("VIEW", "KEY"), "list": g.subjects.view("VIEW"),
	}, g.opened(query))
	if watch != nil {
		s.add("watch", g.subjects.namespace+"."+pathWatch+">", map[string]string{
			"document": g.subjects.namespace + "." + pathWatch + "VIEW.KEY", "view": g.subjects.namespace + "." + pathWatch + "VIEW",
		}, g.opened(watch))
	}
	return s
}

// controlAnswers are the types of the answers to the control verbs.
var controlAnswers = []struct{ verb, typ string }{
	{"aggregate.changes", typeChanges},
	{"aggregate.diff", typeDifference},
	{"aggregate.get", typeAggregate},
	{"aggregate.history", typeHistory},
	{"info", typeInfo},
	{"projection.ls", typeProjections},
	{"wait", typeWait},
}

// ControlVerb is what may be asked for at <ns>.ctl.VERB and <ns>.as.PRINCIPAL.ctl.VERB.
type ControlVerb struct {
	Verb string
	// Kind is what sort of thing it is; a request that names a person may be of another kind.
	Kind Kind
}

// ControlVerbs are all that a gateway with views, operators, subjects and a recorder answers, in order: those
// who grant permissions go by it.
func ControlVerbs() []ControlVerb {
	var all []ControlVerb
	for _, c := range controlAnswers {
		kind := KindInspect
		if c.verb == "info" || c.verb == "wait" {
			kind = KindQuery
		}
		all = append(all, ControlVerb{c.verb, kind})
	}
	for _, o := range slices.Concat(operations, []operation{recordOperation}) {
		all = append(all, ControlVerb{o.verb, reading{changes: o.changes}.kind()})
	}
	for _, o := range append(slices.Clone(subjectOperations), heldOperation) {
		all = append(all, ControlVerb{o.verb, KindPersonal})
	}
	slices.SortFunc(all, func(a, b ControlVerb) int { return strings.Compare(a.Verb, b.Verb) })
	return all
}

// controls are the handlers of this node's control verbs, by path.
func (g *Gateway) controls(base context.Context) map[string]handler {
	all := map[string]handler{
		pathControl + "aggregate.changes": g.in(g.comparisonLane(), base, g.aggregateChanges),
		pathControl + "aggregate.diff":    g.in(g.comparisonLane(), base, g.aggregateDiff),
		pathControl + "aggregate.get":     g.reader(base, g.aggregateGet),
		pathControl + "aggregate.history": g.reader(base, g.aggregateHistory),
		pathControl + "info":              g.reader(base, g.info),
	}
	if g.config.Views != nil {
		all[pathControl+"projection.ls"] = g.reader(base, g.projectionList)
		all[pathControl+"wait"] = g.reader(base, g.wait)
	}
	for _, o := range g.operated() {
		all[pathControl+o.verb] = g.operator(base, o)
	}
	if g.config.Subjects != nil {
		all[pathControl+verbPurge] = g.operator(base, purgeOperation) // for other nodes only
	}
	if g.config.Maker != nil {
		all[pathControl+makeOperation.verb] = g.operator(base, makeOperation) // likewise
	}
	return all
}

// forAskers reports whether a path is asked for at any node, and passed on by none.
func (g *Gateway) forAskers(path string) bool {
	verb := strings.TrimPrefix(path, pathControl)
	return verb == recordOperation.verb || slices.ContainsFunc(subjectOperations, func(o operation) bool { return o.verb == verb })
}

// byPath handles what is sent to this very node, most of it by other nodes:
// errands, queries and control requests.
func (g *Gateway) byPath(paths map[string]handler) handler {
	return func(r *request, err error) {
		h := paths[r.path]
		if g.forAskers(r.path) {
			h = nil // a node that passed it on would vouch for who asks
		}
		switch {
		case strings.HasPrefix(r.path, pathCommand), strings.HasPrefix(r.path, pathGet):
			h = g.takeErrand
		case strings.HasPrefix(r.path, pathQuery):
			h = paths[pathQuery]
		case strings.HasPrefix(r.path, pathWatch):
			h = paths[pathWatch]
		}
		switch {
		case h != nil:
			h(r, err)
		case err != nil:
			r.fail(err)
		default:
			r.fail(&store.InvalidError{What: "subject", Value: r.msg.Subject, Reason: "this node answers nothing of the kind"})
		}
	}
}

// opened has requests handled whose answer may be published.
func (g *Gateway) opened(h handler) func(*endpoint, *nats.Msg) {
	return func(e *endpoint, m *nats.Msg) {
		if r, err := g.open(e, m); r != nil {
			h(r, err)
		}
	}
}

// openedErrand counts the others as dropped, too.
func (g *Gateway) openedErrand(h handler) func(*endpoint, *nats.Msg) {
	return func(e *endpoint, m *nats.Msg) {
		r, err := g.open(e, m)
		if r == nil {
			g.metrics.unknown.count(outcomeDropped, 0)
			return
		}
		h(r, err)
	}
}

// answers is the metadata of an endpoint that answers one type of body.
func answers(typ string) map[string]string { return map[string]string{"response": typ} }

func (g *Gateway) commandMetadata() map[string]string {
	metadata := map[string]string{"subject": g.subjects.command("TYPE", "ID", "COMMAND")}
	types := make([]string, 0, len(g.aggregates))
	for _, d := range g.config.Actors.Definitions() {
		types = append(types, d.TypeName())
		metadata["commands."+d.TypeName()] = strings.Join(d.CommandNames(), ",")
	}
	metadata["aggregates"] = strings.Join(types, ",")
	return metadata
}
