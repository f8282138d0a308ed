// Package httpapi lets clients that speak HTTP send commands and read what the
// gateway serves over NATS, with the same bodies, the same codes and the same
// promises.
//
//	POST /v1/commands/{aggregate}/{id}/{command}   a command; the body is its fields
//	GET  /v1/aggregates/{aggregate}/{id}           a state: at_version, at_time, consistency
//	GET  /v1/aggregates/{aggregate}/{id}/history   its events: after
//	GET  /v1/views/{view}/{key}                    a document: min_position
//	GET  /v1/views/{view}                          a page of documents: cursor, limit, min_position
//	GET  /v1/watch/{view}                          changes as they happen, as server-sent events
//	POST /v1/wait                                  wait until views have reached a position
//	POST /v1/subjects/{id}/forget                  have a person forgotten: why, id
//	GET  /v1/subjects/{id}                         whether a person has a key, and was forgotten
//	GET  /v1/projections                           how the views are doing
//	GET  /v1/info                                  what the system serves
//
// It owns the paths, how a request's headers and parameters are read, which kind
// of thing each path does, and which status an error has. It never decides
// anything and opens no log and no view. Whose token a request carries it is told
// by [Config.Tokens]; without that, who may reach it may do all of the above,
// but nothing about persons.
package httpapi
