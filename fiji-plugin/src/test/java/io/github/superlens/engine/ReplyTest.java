package io.github.superlens.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ReplyTest {

	static List<String> responses() {
		return Protocol.names(".", ".response.json");
	}

	static List<String> requests() {
		return Protocol.names(".", ".request.json");
	}

	static List<String> errors() {
		return Protocol.names("errors", ".response.json");
	}

	@ParameterizedTest
	@MethodSource("responses")
	void everyAnswerOfTheProtocolIsRead(String name) throws EngineException {
		final Reply reply = Reply.read(Protocol.text(name));
		for (final Map<String, Object> output : reply.outputs()) {
			assertEquals(Json.text(output, "axes", "").length(), Json.array(output.get("shape")).size());
			assertNotNull(output.get("role"));
		}
		for (final List<Object> row : reply.rows()) assertEquals(reply.columns().size(), row.size());
	}

	@ParameterizedTest
	@MethodSource("requests")
	void everyRequestOfTheProtocolIsOfThisSchema(String name) {
		final Object schema = Json.object(Json.parse(Protocol.text(name))).get("schema");
		assertEquals((long) Version.SCHEMA, schema);
	}

	@ParameterizedTest
	@MethodSource("errors")
	void everyRefusalOfTheProtocolBecomesASentence(String name) {
		final Map<String, Object> error = Json.object(Json.object(Json.parse(Protocol.text("errors/" + name))).get("error"));
		final EngineException refused = assertThrows(EngineException.class, () -> Reply.read(Protocol.text("errors/" + name)));
		assertEquals(Json.text(error, "kind", "").toUpperCase(), refused.kind().name());
		assertTrue(refused.getMessage().toLowerCase().contains(Json.text(error, "message", "?").toLowerCase()));
		assertFalse(refused.getMessage().contains("\n"));
	}

	@Test
	void aTraceOfADefectIsKeptForTheDetails() {
		final EngineException defect = assertThrows(EngineException.class, () -> Reply.read(Protocol.text("errors/defect.response.json")));
		assertTrue(defect.details().contains("Traceback"));
	}

	@Test
	void whatIsNoReplyIsADefectThatSaysSo() {
		final EngineException defect = assertThrows(EngineException.class, () -> Reply.read("Killed"));
		assertEquals(EngineException.Kind.DEFECT, defect.kind());
		assertTrue(defect.getMessage().contains("cannot be read"));
	}
}
