// Programs of the graphics card, compiled when they first draw. NiiVue makes thirty at its start, and a scan in three planes
// takes four of them.

type Call = () => void;

/** A uniform of a program that was not compiled yet when NiiVue asked for it. */
class LateUniform {
  place: WebGLUniformLocation | null | undefined;

  constructor(
    readonly program: WebGLProgram,
    readonly name: string,
  ) {}
}

/**
 * Lets a WebGL context compile and link each program at its first draw. Until then the program counts as linked, and the newest
 * value of each of its uniforms is kept.
 */
export function compileLate(gl: WebGL2RenderingContext): void {
  const { linkProgram, compileShader, useProgram, getProgramParameter, getUniformLocation } = gl;
  const waiting = new Map<WebGLProgram, Map<string, Call>>();
  let current: WebGLProgram | null = null;

  const compile = (program: WebGLProgram): void => {
    const calls = waiting.get(program);
    if (!calls) return;
    waiting.delete(program);
    for (const shader of gl.getAttachedShaders(program) ?? []) compileShader.call(gl, shader);
    linkProgram.call(gl, program);
    if (!getProgramParameter.call(gl, program, gl.LINK_STATUS)) throw new Error(`this graphics driver cannot compile a shader: ${gl.getProgramInfoLog(program)}`);
    useProgram.call(gl, program);
    for (const call of calls.values()) call();
  };

  Object.assign(gl, {
    compileShader: () => undefined,
    linkProgram: (program: WebGLProgram) => waiting.set(program, new Map()),
    getProgramParameter: (program: WebGLProgram, name: number) => {
      if (name === gl.LINK_STATUS && waiting.has(program)) return true;
      compile(program);
      return getProgramParameter.call(gl, program, name);
    },
    getUniformLocation: (program: WebGLProgram, name: string) =>
      waiting.has(program) ? new LateUniform(program, name) : getUniformLocation.call(gl, program, name),
    useProgram: (program: WebGLProgram | null) => {
      current = program;
      if (!program || !waiting.has(program)) useProgram.call(gl, program);
    },
  });
  for (const name of ["drawArrays", "drawElements"] as const) {
    const draw = gl[name] as (...values: number[]) => void;
    Object.assign(gl, {
      [name]: (...values: number[]) => {
        if (current) compile(current);
        draw.apply(gl, values);
      },
    });
  }
  for (const name of Object.keys(WebGL2RenderingContext.prototype) as (keyof WebGL2RenderingContext)[]) {
    if (!/^uniform(\d|Matrix)/.test(name)) continue;
    const set = gl[name] as (place: WebGLUniformLocation | null, ...values: unknown[]) => void;
    Object.assign(gl, {
      [name]: (place: WebGLUniformLocation | LateUniform | null, ...values: unknown[]) => {
        if (!(place instanceof LateUniform)) {
          set.call(gl, place, ...values);
          return;
        }
        const send = (now: unknown[]): void => {
          place.place ??= getUniformLocation.call(gl, place.program, place.name);
          set.call(gl, place.place, ...now);
        };
        const calls = waiting.get(place.program);
        if (calls) {
          const kept = values.map((value) => (value instanceof Float32Array ? value.slice() : Array.isArray(value) ? [...value] : value));
          calls.set(place.name, () => send(kept));
        } else {
          send(values);
        }
      },
    });
  }
}
