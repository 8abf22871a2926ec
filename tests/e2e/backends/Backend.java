// SPDX-License-Identifier: GPL-2.0-only
// Backend of the tests on the JDK's HttpServer: java Backend.java NAME PORT [ADDRESS]
// The same paths as backend.py.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

public class Backend {
    static final int PERIOD = 65521;
    static final int[] CHUNK_SIZES = {1, 7, 64, 1000, 4096, 65536};
    static final byte[] TABLE = table();
    static String name;

    static byte[] table() {
        byte[] out = new byte[PERIOD];
        int x = 1;
        for (int i = 0; i < PERIOD; i++) {
            x = (x * 1103515245 + 12345) & 0x7fffffff;
            out[i] = (byte) (x >> 16);
        }
        return out;
    }

    static byte[] pattern(int size, int seed) {
        byte[] out = new byte[size];
        int from = (int) ((long) seed * 7919 % PERIOD);
        for (int at = 0; at < size; from = 0) {
            int n = Math.min(PERIOD - from, size - at);
            System.arraycopy(TABLE, from, out, at, n);
            at += n;
        }
        return out;
    }

    static void answer(HttpExchange e, int status, byte[] body) throws IOException {
        e.getResponseHeaders().set("X-Backend", name);
        boolean head = e.getRequestMethod().equals("HEAD");
        if (head && body != null)
            e.getResponseHeaders().set("Content-Length", String.valueOf(body.length));
        // -1: no body; 0 would mean chunked
        e.sendResponseHeaders(status, head || body == null || body.length == 0 ? -1 : body.length);
        if (!head && body != null && body.length > 0)
            try (OutputStream out = e.getResponseBody()) {
                out.write(body);
            }
        e.close();
    }

    static void answerChunked(HttpExchange e, byte[] body) throws IOException {
        e.getResponseHeaders().set("X-Backend", name);
        e.sendResponseHeaders(200, 0);
        try (OutputStream out = e.getResponseBody()) {
            for (int at = 0, turn = 0; at < body.length; turn++) {
                int n = Math.min(CHUNK_SIZES[turn % CHUNK_SIZES.length], body.length - at);
                out.write(body, at, n);
                out.flush();
                at += n;
            }
        }
        e.close();
    }

    static void serve(HttpExchange e) throws IOException {
        String path = e.getRequestURI().getPath().substring(1);
        if (path.startsWith("service/"))
            path = path.split("/", 3).length > 2 ? path.split("/", 3)[2] : "";
        String[] words = path.split("/");
        byte[] body = e.getRequestBody().readAllBytes();
        byte[] who = name.getBytes(StandardCharsets.US_ASCII);
        switch (words[0]) {
            case "bytes":
                answer(e, 200, pattern(Integer.parseInt(words[1]), Integer.parseInt(words[2])));
                break;
            case "chunked":
                answerChunked(e, pattern(Integer.parseInt(words[1]), Integer.parseInt(words[2])));
                break;
            case "echo":
                answer(e, 200, body);
                break;
            case "echo-chunked":
                answerChunked(e, body);
                break;
            case "status":
                answer(e, Integer.parseInt(words[1]), null);
                break;
            case "close":
                e.getResponseHeaders().set("Connection", "close");
                answer(e, 200, who);
                break;
            default:
                answer(e, 200, who);
        }
    }

    public static void main(String[] args) throws Exception {
        name = args[0];
        InetAddress address = InetAddress.getByName(args.length > 2 ? args[2] : "127.0.0.1");
        HttpServer server =
            HttpServer.create(new InetSocketAddress(address, Integer.parseInt(args[1])), 1024);
        server.createContext("/", Backend::serve);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
