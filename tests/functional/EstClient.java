/* Bouncy Castle's EST client, driven by lines on standard input, one answer in one line for each.
 *
 * usage: EstClient SERVER ROOT   (host:port, and the certificate to trust, in PEM)
 *
 * A line is OPERATION and words NAME=VALUE: key= names a key pair, made when it is new; cn= the name asked for; user= and
 * password= for HTTP Basic; with= the key whose newest certificate is shown in TLS; label=; tls= a version; jsse= a
 * provider; pop=yes links the request to the connection.
 *
 * Three operations need no server: identity takes a key (pkcs8=) with its certificate and those behind it (pem=) for with=;
 * request writes a PKCS#10 whose answer is to be encrypted, for the certificate public=ID or with the key secret=ID; open
 * makes a private key of such an answer (file=), with the certificate pem= and its key pkcs8=, or with a shared=KEY of the
 * identifier secret=. Octets are hexadecimal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.X509TrustManager;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.smime.SMIMECapability;
import org.bouncycastle.asn1.smime.SMIMECapabilityVector;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.KEKRecipientId;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceKEKEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientId;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientId;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.ChannelBindingProvider;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLSocket;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;
import org.bouncycastle.util.encoders.Hex;

public class EstClient {
	private final String server;
	private final X509CertificateHolder root;
	private final Map<String, KeyPair> keys = new HashMap<>();
	private final Map<String, X509CertificateHolder> certificates = new HashMap<>();
	private final Map<String, List<X509CertificateHolder>> chains = new HashMap<>();
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
		switch (operation) {
		case "identity":
			return load(words);
		case "request":
			return "ok " + base64(sealedRequest(words).getEncoded());
		case "open":
			return "ok " + base64(open(words).getEncoded());
		default:
			return ask(service(words), operation, words);
		}
	}

	private String ask(ESTService service, String operation, Map<String, String> words) throws Exception {
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
		List<X509Certificate> chain = new ArrayList<>();

		chain.add(new JcaX509CertificateConverter().getCertificate(certificates.get(name)));
		for (X509CertificateHolder above : chains.getOrDefault(name, Collections.emptyList()))
			chain.add(new JcaX509CertificateConverter().getCertificate(above));
		store.load(null, null);
		store.setKeyEntry("own", keys.get(name).getPrivate(), new char[0], chain.toArray(new X509Certificate[0]));
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

	/* ---- what needs no server ---- */

	private static List<X509CertificateHolder> readCertificates(String path) throws Exception {
		List<X509CertificateHolder> all = new ArrayList<>();

		try (PEMParser parser = new PEMParser(new FileReader(path))) {
			for (Object next; (next = parser.readObject()) != null;)
				all.add((X509CertificateHolder) next);
		}
		return all;
	}

	private static PrivateKey readKey(String path) throws Exception {
		try (PEMParser parser = new PEMParser(new FileReader(path))) {
			return new JcaPEMKeyConverter().setProvider("BC").getPrivateKey((PrivateKeyInfo) parser.readObject());
		}
	}

	private String load(Map<String, String> words) throws Exception {
		List<X509CertificateHolder> all = readCertificates(words.get("pem"));
		String name = words.get("key");

		keys.put(name, new KeyPair(null, readKey(words.get("pkcs8"))));
		certificates.put(name, all.get(0));
		chains.put(name, all.subList(1, all.size()));
		return "ok";
	}

	/* RFC 7030 4.4.1.1, 4.4.1.2. */
	private PKCS10CertificationRequest sealedRequest(Map<String, String> words) throws Exception {
		KeyPair key = key("sealed");
		boolean isPublic = words.containsKey("public");
		SMIMECapabilityVector can = new SMIMECapabilityVector();

		can.addCapability(SMIMECapability.aES256_CBC);
		can.addCapability(SMIMECapability.aES128_CBC);
		can.addCapability(NISTObjectIdentifiers.id_aes256_wrap);
		return request(key, words.get("cn"))
			.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_smimeCapabilities, new DERSequence(can.toASN1EncodableVector()))
			.addAttribute(isPublic ? PKCSObjectIdentifiers.id_aa_asymmDecryptKeyID
					       : PKCSObjectIdentifiers.id_aa_decryptKeyID,
				      new DEROctetString(Hex.decode(words.get(isPublic ? "public" : "secret"))))
			.build(new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate()));
	}

	private static byte[] decrypt(CMSEnvelopedData enveloped, Map<String, String> words) throws Exception {
		RecipientInformationStore recipients = enveloped.getRecipientInfos();
		RecipientInformation own;
		X509Certificate certificate;
		PrivateKey key;

		if (words.containsKey("shared")) {
			own = recipients.get(new KEKRecipientId(Hex.decode(words.get("secret"))));
			return own.getContent(new JceKEKEnvelopedRecipient(
				new SecretKeySpec(Hex.decode(words.get("shared")), "AES")).setProvider("BC"));
		}
		certificate = new JcaX509CertificateConverter().getCertificate(readCertificates(words.get("pem")).get(0));
		key = readKey(words.get("pkcs8"));
		own = recipients.get(new JceKeyTransRecipientId(certificate));
		if (own != null)
			return own.getContent(new JceKeyTransEnvelopedRecipient(key).setProvider("BC"));
		own = recipients.get(new JceKeyAgreeRecipientId(certificate));
		return own.getContent(new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC"));
	}

	/* Decrypted, and signed by whom the root has certified. */
	private PrivateKeyInfo open(Map<String, String> words) throws Exception {
		CMSEnvelopedData enveloped = new CMSEnvelopedData(Files.readAllBytes(Path.of(words.get("file"))));
		CMSSignedData signed = new CMSSignedData(decrypt(enveloped, words));
		SignerInformation signer = signed.getSignerInfos().getSigners().iterator().next();
		X509CertificateHolder generator = null;

		for (Object one : signed.getCertificates().getMatches(null))
			if (signer.getSID().match(one))
				generator = (X509CertificateHolder) one;
		if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(generator))
		    || !generator.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider("BC").build(root)))
			throw new IllegalStateException("the package is signed by nobody");
		return PrivateKeyInfo.getInstance(
			ASN1Sequence.getInstance((byte[]) signed.getSignedContent().getContent()).getObjectAt(0));
	}

	/* ---- answers ---- */

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
