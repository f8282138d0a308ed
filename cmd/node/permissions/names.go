package permissions

import (
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/projector/kv"
)

// grounds are the names that permissions are about: those of the streams of a
// namespace, of the models of its views, and of those who are answered.
type grounds struct {
	namespace string
	order     string   // the stream with all events
	logs      []string // all streams with events, the order first
	snapshots string
	registry  string
	directory string
	views     []string // of all models that there may be
	keys      []string // of all epochs that there may be
	objects   []string
	inboxes   []string // of all who ask, and of those who answer
	plain     bool
}

// grounds lists what there may be in the namespace. A subject has no wildcard for
// a part of a token, so models and epochs are listed one by one: whoever may make
// streams of any name could make one that copies another.
func (p *Plan) grounds() grounds {
	ns := p.Namespace
	g := grounds{
		namespace: ns, order: "ANNALS_" + ns + "_events", snapshots: bucketStream("ANNALS_" + ns + "_snapshots"),
		registry: bucketStream(kv.RegistryBucket(ns)), directory: bucketStream("ANNALS_" + ns + "_cluster"), plain: p.Plain,
	}
	g.logs = []string{g.order}
	if p.LogStreams > 1 {
		for i := range p.LogStreams {
			g.logs = append(g.logs, g.order+"_"+strconv.Itoa(i))
		}
	}
	for _, model := range p.Views {
		for model.Build = range p.Builds + 1 {
			g.views = append(g.views, bucketStream("ANNALS_"+ns+"_view_"+model.String()))
		}
	}
	for epoch := range p.Epochs {
		g.keys = append(g.keys, "ANNALS_"+ns+"_keys_"+strconv.Itoa(epoch+1))
	}
	for _, b := range p.Buckets {
		g.objects = append(g.objects, "OBJ_"+b)
	}
	for _, u := range p.Users {
		g.inboxes = append(g.inboxes, inbox(u.Name)+".>")
	}
	return g
}

func bucketStream(bucket string) string { return "KV_" + bucket }

// in makes subjects of the namespace.
func (g *grounds) in(rest ...string) []string {
	subjects := make([]string, len(rest))
	for i, r := range rest {
		subjects[i] = g.namespace + "." + r
	}
	return subjects
}

// asks makes the subjects of requests to the servers, of each verb for each
// stream.
func asks(streams []string, verbs ...string) []string {
	var subjects []string
	for _, s := range streams {
		for _, v := range verbs {
			subjects = append(subjects, "$JS.API."+v+"."+s)
		}
	}
	return subjects
}

// What is asked of no stream in particular.
const (
	accountInfo = "$JS.API.INFO"
	allStreams  = "$JS.API.STREAM.LIST"
	// streamNames is how the stream of the current epoch of keys is found.
	streamNames = "$JS.API.STREAM.NAMES"
)

// What is asked of a stream.
var (
	// toRead: its settings, a message from its leader, messages from any replica.
	toRead = []string{"STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"}
	// toMake: the stream itself.
	toMake = []string{"STREAM.INFO", "STREAM.CREATE", "STREAM.UPDATE"}
)

// consumers are the requests of consumers: made, asked for more, removed.
func consumers(streams ...string) []string {
	var subjects []string
	for _, s := range streams {
		subjects = append(subjects,
			"$JS.API.CONSUMER.CREATE."+s+".>", "$JS.API.CONSUMER.DELETE."+s+".*", "$JS.API.CONSUMER.MSG.NEXT."+s+".*", "$JS.ACK."+s+".>")
	}
	return subjects
}

// values are the subjects of all that buckets keep.
func values(streams ...string) []string {
	var subjects []string
	for _, s := range streams {
		subjects = append(subjects, keysOf(s, ">")...)
	}
	return subjects
}

// keysOf are the subjects of some keys of a bucket.
func keysOf(stream string, keys ...string) []string {
	var subjects []string
	for _, k := range keys {
		subjects = append(subjects, "$KV."+strings.TrimPrefix(stream, "KV_")+"."+k)
	}
	return subjects
}

// chunks are the subjects of what an object store keeps.
func chunks(streams ...string) []string {
	var subjects []string
	for _, s := range streams {
		subjects = append(subjects, "$O."+strings.TrimPrefix(s, "OBJ_")+".>")
	}
	return subjects
}

// also is a list with more in it; the list itself stays as it is.
func also(list []string, more ...string) []string { return slices.Concat(list, more) }

// readObjects is what the client of an object store asks: the last message of a
// subject is part of what it asks for.
func (g *grounds) readObjects() []string {
	subjects := slices.Concat(asks(g.objects, toRead...), consumers(g.objects...), flowOf(g.objects...))
	for _, s := range g.objects {
		subjects = append(subjects, "$JS.API.DIRECT.GET."+s+".>")
	}
	return subjects
}

// discovery are the subjects of nats micro.
func discovery() []string {
	var subjects []string
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		subjects = append(subjects, "$SRV."+verb, "$SRV."+verb+".>")
	}
	return subjects
}

// flowOf are the answers to what a server says to keep a reader from being
// overrun.
func flowOf(streams ...string) []string {
	var subjects []string
	for _, s := range streams {
		subjects = append(subjects, "$JS.FC."+s+".>")
	}
	return subjects
}
