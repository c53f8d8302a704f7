/* Bouncy Castle's EST client, driven by lines on standard input, one answer in one line for each.
 *
 * usage: EstClient SERVER ROOT   (host:port, and the certificate to trust, in PEM)
 *
 * A line is OPERATION and words NAME=VALUE: key= names a key pair, made when it is new; cn= the name asked for; user= and
 * password= for HTTP Basic; with= the key whose newest certificate is shown in TLS; label=; tls= a version; jsse= a
 * provider; pop=yes links the request to the connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.X509TrustManager;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.jcajce.ChannelBindingProvider;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLSocket;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;

public class EstClient {
	private final String server;
	private final X509CertificateHolder root;
	private final Map<String, KeyPair> keys = new HashMap<>();
	private final Map<String, X509CertificateHolder> certificates = new HashMap<>();
	private final Map<String, EnrollmentResponse> held = new HashMap<>();

	private EstClient(String server, String root) throws Exception {
		this.server = server;
		try (PEMParser parser = new PEMParser(new FileReader(root))) {
			this.root = (X509CertificateHolder) parser.readObject();
		}
	}

	public static void main(String[] args) throws Exception {
		Security.addProvider(new BouncyCastleProvider());
		Security.addProvider(new BouncyCastleJsseProvider());
		EstClient client = new EstClient(args[0], args[1]);
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));

		for (String line; (line = in.readLine()) != null;)
			System.out.println(client.answer(line));
	}

	private String answer(String line) throws Exception {
		String[] parts = line.split(" ");
		Map<String, String> words = new HashMap<>();

		for (int i = 1; i < parts.length; i++) {
			String[] pair = parts[i].split("=", 2);

			words.put(pair[0], pair[1]);
		}
		try {
			return run(parts[0], words);
		} catch (ESTException e) {
			return "refused " + e.getStatusCode() + " " + oneLine(e.toString());
		} catch (Exception e) {
			e.printStackTrace();
			return "failed " + oneLine(e.toString());
		}
	}

	private static String oneLine(String text) {
		return text.replaceAll("\\s+", " ");
	}

	private String run(String operation, Map<String, String> words) throws Exception {
		ESTService service = service(words);

		switch (operation) {
		case "cacerts":
			return certificates(service.getCACerts().getCertificateStore());
		case "csrattrs":
			return attributes(service.getCSRAttributes());
		case "retry":
			return outcome(words.get("key"), service.simpleEnroll(held.get(words.get("key"))));
		default:
			return outcome(words.get("key"), enrol(service, operation, words));
		}
	}

	private EnrollmentResponse enrol(ESTService service, String operation, Map<String, String> words) throws Exception {
		boolean again = operation.equals("simplereenroll"), linked = words.containsKey("pop");
		KeyPair key = key(words.get("key"));
		ContentSigner signer = new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate());
		PKCS10CertificationRequestBuilder request = request(key, words.get("cn"));

		if (operation.equals("serverkeygen"))
			return service.simpleEnrollWithServersideCreation(request.build(signer), auth(words));
		return linked ? service.simpleEnrollPoP(again, request, signer, auth(words))
			      : service.simpleEnroll(again, request.build(signer), auth(words));
	}

	private ESTService service(Map<String, String> words) throws Exception {
		X509Certificate anchor = new JcaX509CertificateConverter().getCertificate(root);
		X509TrustManager[] trust = JcaJceUtils.getCertPathTrustManager(
			Collections.singleton(new TrustAnchor(anchor, null)), null);
		JsseESTServiceBuilder builder = new JsseESTServiceBuilder(server, trust);

		builder.withProvider(words.getOrDefault("jsse", "BCJSSE")).withTimeout(60000)
		       .withChannelBindingProvider(new Binding());
		if (words.containsKey("tls"))
			builder.withTLSVersion(words.get("tls"));
		if (words.containsKey("label"))
			builder.withLabel(words.get("label"));
		if (words.containsKey("with"))
			builder.withKeyManagers(identity(words.get("with"), words.getOrDefault("jsse", "BCJSSE")));
		return builder.build();
	}

	/* For TLS 1.3 each JSSE finds a key only through a key manager of its own. */
	private KeyManager[] identity(String name, String jsse) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX", jsse);
		X509Certificate own = new JcaX509CertificateConverter().getCertificate(certificates.get(name));

		store.load(null, null);
		store.setKeyEntry("own", keys.get(name).getPrivate(), new char[0], new X509Certificate[] { own });
		factory.init(store, new char[0]);
		return factory.getKeyManagers();
	}

	private static ESTAuth auth(Map<String, String> words) throws Exception {
		return words.containsKey("user")
			? new JcaHttpAuthBuilder(words.get("user"), words.get("password").toCharArray()).build() : null;
	}

	private KeyPair key(String name) throws Exception {
		if (!keys.containsKey(name)) {
			KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");

			generator.initialize(new ECGenParameterSpec("secp256r1"));
			keys.put(name, generator.generateKeyPair());
		}
		return keys.get(name);
	}

	private static PKCS10CertificationRequestBuilder request(KeyPair key, String cn) throws Exception {
		ExtensionsGenerator extensions = new ExtensionsGenerator();

		extensions.addExtension(Extension.subjectAlternativeName, false,
					new GeneralNames(new GeneralName(GeneralName.dNSName, cn)));
		return new JcaPKCS10CertificationRequestBuilder(new X500Name("CN=" + cn), key.getPublic())
			.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate());
	}

	private String outcome(String name, EnrollmentResponse response) throws Exception {
		if (!response.isCompleted()) {
			held.put(name, response);
			return "held " + response.getNotBefore();
		}
		certificates.put(name, response.getStore().getMatches(null).iterator().next());
		return certificates(response.getStore())
			+ (response.getPrivateKeyInfo() == null ? "" : " " + base64(response.getPrivateKeyInfo().getEncoded()));
	}

	private static String certificates(Store<X509CertificateHolder> store) throws Exception {
		StringBuilder out = new StringBuilder("ok");

		for (X509CertificateHolder certificate : store.getMatches(null))
			out.append(' ').append(base64(certificate.getEncoded()));
		return out.toString();
	}

	private static String attributes(CSRRequestResponse response) throws Exception {
		StringBuilder out = new StringBuilder("ok");

		if (response.hasAttributesResponse())
			for (ASN1ObjectIdentifier oid : response.getAttributesResponse().getRequirements())
				out.append(' ').append(oid.getId());
		return out.toString();
	}

	private static String base64(byte[] der) {
		return Base64.getEncoder().encodeToString(der);
	}

	/* tls-unique, which only this JSSE gives away. */
	private static class Binding implements ChannelBindingProvider {
		public boolean canAccessChannelBinding(Socket socket) {
			return socket instanceof BCSSLSocket;
		}

		public byte[] getChannelBinding(Socket socket, String binding) {
			return ((BCSSLSocket) socket).getConnection().getChannelBinding(binding);
		}
	}
}
