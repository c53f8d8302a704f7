// An EST client of Go's standard library, driven by lines of JSON on standard input, one line of JSON for each.
//
// usage: EstClient BASE ROOT   (https://host:port, and the certificate to trust, in PEM)
//
// It writes as clients in Go do: bodies in chunks, base64 in lines of 76 columns that end with CRLF, HTTP/2 offered,
// connections kept, TLS sessions resumed.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"
)

type command struct {
	Operation, Label, Name, User, Password, Token string
	Key                                           string // names a key, made when it is new
	With                                          string // shows the newest certificate of this key
	TLS                                           uint16 // 0: what both know
	Continue                                      bool   // waits for 100
	Fresh                                         bool   // on a connection of its own
}

type answer struct {
	Error        string            `json:"error,omitempty"`
	Status       int               `json:"status"`
	Protocol     string            `json:"protocol"`
	Headers      map[string]string `json:"headers"`
	Certificates [][]byte          `json:"certificates,omitempty"`
	PrivateKey   []byte            `json:"private_key,omitempty"`
	Body         []byte            `json:"body,omitempty"`
	Reused       bool              `json:"reused"`
	Resumed      bool              `json:"resumed"`
}

type client struct {
	base     string
	roots    *x509.CertPool
	sessions tls.ClientSessionCache
	keys     map[string]*ecdsa.PrivateKey
	owned    map[string][]byte
	clients  map[string]*http.Client
}

// One for each identity and version: who shows a certificate does so for a whole connection.
func (c *client) http(cmd *command) *http.Client {
	name := fmt.Sprint(cmd.With, cmd.TLS)

	if h := c.clients[name]; h != nil && !cmd.Fresh {
		return h
	}
	conf := &tls.Config{RootCAs: c.roots, MinVersion: cmd.TLS, MaxVersion: cmd.TLS, ClientSessionCache: c.sessions}
	if cmd.With != "" {
		own := tls.Certificate{Certificate: [][]byte{c.owned[cmd.With]}, PrivateKey: c.keys[cmd.With]}

		conf.Certificates = []tls.Certificate{own}
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	c.clients[name] = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		TLSClientConfig: conf, ForceAttemptHTTP2: true, ExpectContinueTimeout: 30 * time.Second}}
	return c.clients[name]
}

func (c *client) request(cmd *command) ([]byte, error) {
	if c.keys[cmd.Key] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		c.keys[cmd.Key] = key
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: cmd.Name}, DNSNames: []string{cmd.Name}}, c.keys[cmd.Key])
}

func lines(der []byte) []byte {
	var out bytes.Buffer
	text := base64.StdEncoding.EncodeToString(der)

	for ; len(text) > 76; text = text[76:] {
		out.WriteString(text[:76] + "\r\n")
	}
	out.WriteString(text + "\r\n")
	return out.Bytes()
}

// A body whose length is not known, and which comes in pieces.
func (c *client) body(cmd *command) (io.Reader, error) {
	switch cmd.Operation {
	case "cacerts", "csrattrs", "crls":
		return nil, nil
	}
	der, err := c.request(cmd)
	if err != nil {
		return nil, err
	}
	from, to := io.Pipe()
	go func() {
		text := lines(der)
		to.Write(text[:100])
		to.Write(text[100:])
		to.Close()
	}()
	return from, nil
}

func (c *client) run(cmd *command) (*answer, error) {
	out := &answer{Headers: map[string]string{}}
	method, path := "POST", c.base+"/.well-known/est/"
	body, err := c.body(cmd)
	if err != nil {
		return nil, err
	}
	if body == nil {
		method = "GET"
	}
	if cmd.Label != "" {
		path += cmd.Label + "/"
	}
	q, err := http.NewRequest(method, path+cmd.Operation, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/pkcs10")
		q.Header.Set("Content-Transfer-Encoding", "base64")
	}
	if cmd.User != "" {
		q.SetBasicAuth(cmd.User, cmd.Password)
	}
	if cmd.Token != "" {
		q.Header.Set("Authorization", "Bearer "+cmd.Token)
	}
	if cmd.Continue {
		q.Header.Set("Expect", "100-continue")
	}
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { out.Reused = i.Reused }}
	r, err := c.http(cmd).Do(q.WithContext(httptrace.WithClientTrace(q.Context(), trace)))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	out.Status, out.Protocol, out.Resumed = r.StatusCode, r.Proto, r.TLS.DidResume
	for name := range r.Header {
		out.Headers[name] = r.Header.Get(name)
	}
	if out.Body, err = io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	return out, c.read(cmd, out)
}

// What a 200 brought.
func (c *client) read(cmd *command, out *answer) error {
	kind, words, err := mime.ParseMediaType(out.Headers["Content-Type"])
	if out.Status != 200 || err != nil {
		return nil
	}
	if strings.HasPrefix(kind, "multipart/") {
		return c.readParts(multipart.NewReader(bytes.NewReader(out.Body), words["boundary"]), out)
	}
	if kind != "application/pkcs7-mime" || cmd.Operation == "crls" {
		return nil
	}
	if out.Certificates, err = certificates(out.Body); err == nil && cmd.Operation != "cacerts" {
		c.owned[cmd.Key] = out.Certificates[0]
	}
	return err
}

func (c *client) readParts(parts *multipart.Reader, out *answer) error {
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "application/pkcs8") {
			if out.PrivateKey, err = base64.StdEncoding.DecodeString(string(text)); err == nil {
				_, err = x509.ParsePKCS8PrivateKey(out.PrivateKey)
			}
		} else {
			out.Certificates, err = certificates(text)
		}
		if err != nil {
			return err
		}
	}
}

// Of a SignedData that has nothing else; each is read.
func certificates(text []byte) ([][]byte, error) {
	var content struct {
		Type  asn1.ObjectIdentifier
		Value struct {
			Version      int
			Digests      asn1.RawValue `asn1:"set"`
			Encapsulated struct{ Type asn1.ObjectIdentifier }
			Certificates asn1.RawValue `asn1:"optional,tag:0"`
			Lists        asn1.RawValue `asn1:"optional,tag:1"`
			Signers      asn1.RawValue `asn1:"set"`
		} `asn1:"explicit,tag:0"`
	}
	var all [][]byte

	der, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return nil, err
	}
	if rest, err := asn1.Unmarshal(der, &content); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("no SignedData: %v, %d octets behind it", err, len(rest))
	}
	parsed, err := x509.ParseCertificates(content.Value.Certificates.Bytes)
	for _, certificate := range parsed {
		all = append(all, certificate.Raw)
	}
	return all, err
}

func main() {
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	c := &client{base: os.Args[1], roots: x509.NewCertPool(), sessions: tls.NewLRUClientSessionCache(16),
		keys: map[string]*ecdsa.PrivateKey{}, owned: map[string][]byte{}, clients: map[string]*http.Client{}}
	c.roots.AddCert(root)
	in, to := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var cmd command

		if err := json.Unmarshal(in.Bytes(), &cmd); err != nil {
			panic(err)
		}
		out, err := c.run(&cmd)
		if err != nil {
			out = &answer{Error: err.Error()}
		}
		to.Encode(out)
	}
}
